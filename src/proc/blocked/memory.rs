//! Reads of the memory of another process, /proc/PID/mem: structures of the C ABI, in this machine's byte
//! order. It needs the right to trace the process (PTRACE_MODE_ATTACH, ptrace(2)); nothing is stopped.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// PATH_MAX and with it the longest string that is read.
const LONGEST: usize = 4096;
/// A page is not smaller on any architecture.
pub(super) const PAGE: u64 = 4096;

/// The memory of a process that is kept open.
pub(in crate::proc) struct Memory(File);

impl From<OwnedFd> for Memory {
    fn from(fd: OwnedFd) -> Memory {
        Memory(File::from(fd))
    }
}

impl Memory {
    /// Fills all of `into`, or nothing is known.
    pub fn fill(&self, address: u64, into: &mut [u8]) -> Option<()> {
        self.0.read_exact_at(into, address).ok()
    }

    /// As many bytes as there are at an address, at most as `into` has room for.
    pub fn some<'a>(&self, address: u64, into: &'a mut [u8]) -> &'a [u8] {
        let got = self.0.read_at(into, address).unwrap_or(0);
        &into[..got]
    }

    pub fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(address, &mut bytes)?;
        Some(bytes)
    }

    pub fn u64(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_ne_bytes)
    }

    /// An array, cut off behind `most` members.
    pub fn array<const N: usize>(&self, address: u64, length: u64, most: usize) -> Option<Vec<[u8; N]>> {
        let length = usize::try_from(length).unwrap_or(most).min(most);
        let mut bytes = vec![0; length * N];
        self.fill(address, &mut bytes)?;
        Some(bytes.chunks_exact(N).filter_map(|member| member.try_into().ok()).collect())
    }

    /// struct timespec of a 64-bit process; `None` for a null pointer.
    pub fn timespec(&self, address: u64) -> Option<Duration> {
        self.time(address, 1)
    }

    /// struct timeval, which only calls of x86-64 take.
    #[cfg(any(target_arch = "x86_64", test))]
    pub fn timeval(&self, address: u64) -> Option<Duration> {
        self.time(address, 1000)
    }

    fn time(&self, address: u64, nanoseconds: u32) -> Option<Duration> {
        if address == 0 {
            return None;
        }
        let [seconds, parts] = self.array(address, 2, 2)?.try_into().ok()?;
        let (seconds, parts) = (i64::from_ne_bytes(seconds), i64::from_ne_bytes(parts));
        let parts = u32::try_from(parts).ok()?.checked_mul(nanoseconds).filter(|parts| *parts < 1_000_000_000)?;
        Some(Duration::new(u64::try_from(seconds).ok()?, parts))
    }

    /// A string that ends with NUL; `None` if it is longer than any path.
    pub fn string(&self, address: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut part = [0; 256];
        while bytes.len() < LONGEST {
            // Read up to the end of a page: the next one may not be there.
            let at = address.checked_add(bytes.len() as u64)?;
            let room = usize::try_from(PAGE - at % PAGE).unwrap_or(part.len()).min(part.len());
            let got = self.some(at, &mut part[..room]);
            if got.is_empty() {
                return None;
            }
            if let Some(end) = memchr::memchr(0, got) {
                bytes.extend_from_slice(&got[..end]);
                return Some(bytes);
            }
            bytes.extend_from_slice(got);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Memory {
        Memory(File::open("/proc/self/mem").unwrap())
    }

    #[test]
    fn strings_end_with_nul_and_are_no_longer_than_a_path() {
        let text = [&[b'x'; 700][..], b"\0rest"].concat();
        assert_eq!(ours().string(text.as_ptr() as u64), Some(vec![b'x'; 700]));
        assert_eq!(ours().string(text[700..].as_ptr() as u64), Some(Vec::new()));
        let long = vec![b'x'; 8192];
        assert_eq!(ours().string(long.as_ptr() as u64), None);
        assert_eq!(ours().string(0), None);
        assert_eq!(ours().string(u64::MAX), None);
    }

    #[test]
    fn times_are_read_and_odd_ones_are_none() {
        let time = |seconds: i64, parts: i64| [seconds, parts];
        let at = |time: &[i64; 2]| time.as_ptr() as u64;
        assert_eq!(ours().timespec(at(&time(1234, 567))), Some(Duration::new(1234, 567)));
        assert_eq!(ours().timeval(at(&time(2, 500_000))), Some(Duration::from_millis(2500)));
        for odd in [time(-1, 0), time(0, -1), time(0, 1_000_000_000)] {
            assert_eq!(ours().timespec(at(&odd)), None);
        }
        assert_eq!(ours().timeval(at(&time(0, i64::from(u32::MAX)))), None);
        assert_eq!(ours().timespec(0), None);
    }

    #[test]
    fn an_array_is_cut_off_and_never_made_up() {
        let numbers = [1u16, 2, 3, 4];
        let at = numbers.as_ptr() as u64;
        assert_eq!(ours().array::<2>(at, 4, 2), Some(vec![1u16.to_ne_bytes(), 2u16.to_ne_bytes()]));
        assert_eq!(ours().array::<2>(at, u64::MAX, 1).map(|array| array.len()), Some(1));
        assert_eq!(ours().array::<2>(8, 4, 4), None);
    }
}
