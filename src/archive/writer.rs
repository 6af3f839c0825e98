//! An archive that is being written.

use super::format::{MANIFEST, MANIFEST_MAX, Manifest, hex};
use super::{bad, shown};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::sys::newfile::NewFile;
use crate::sys::{file, waiter};
use nix::errno::Errno;
use sha2::{Digest as _, Sha256};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tar::{EntryType, Header};

/// The unit of a tar file.
pub const BLOCK: u64 = 512;
/// How much is read and written at once. Such a piece of zeros becomes a hole.
pub const PIECE: usize = 1 << 18;

/// A file that becomes an archive at `finish`. Before that, nothing has its name.
pub struct Writer {
    new: NewFile,
    path: PathBuf,
    /// How many bytes the manifest may have.
    reserved: u64,
    /// Where the next member goes.
    end: u64,
}

impl Writer {
    /// Begins an archive. Status 5 if there is something of that name.
    pub fn create(path: &Path) -> Result<Writer> {
        let new = NewFile::create(path).map_err(|errno| failed("open", errno, path))?;
        Ok(Writer { new, path: path.to_owned(), reserved: 0, end: 0 })
    }

    /// Leaves room for a manifest of which at most sums will still change, or objects be left out.
    pub fn begin(&mut self, manifest: &Manifest) -> Result<()> {
        self.reserved = self.json(manifest)?.len() as u64;
        self.end = BLOCK + self.reserved.next_multiple_of(BLOCK);
        Ok(())
    }

    /// Appends a member of `size` bytes, which `read` gives piece by piece from an offset on; its sum. The inner
    /// error is that of `read`: then the archive is as it was before.
    pub fn member(
        &mut self,
        name: &str,
        size: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<Result<String>> {
        let start = self.end + BLOCK;
        let mut sum = Sha256::new();
        let mut piece = vec![0; usize::try_from(size).unwrap_or(PIECE).min(PIECE)];
        let mut done = 0;
        while done < size {
            if let Some(signal) = waiter::caught() {
                return Err(Error::interrupted("write", signal, shown(&self.path)));
            }
            let length = usize::try_from(size - done).unwrap_or(PIECE).min(PIECE);
            let part = &mut piece[..length];
            if let Err(error) = read(done, part) {
                return Ok(Err(error));
            }
            sum.update(&*part);
            self.put(start + done, part)?;
            done += length as u64;
        }
        self.put(self.end, header(name, size, &self.path)?.as_bytes())?;
        self.end = start + size.next_multiple_of(BLOCK);
        Ok(Ok(hex(sum)))
    }

    /// Writes the manifest and the end, sees all of it on the disk and gives the archive its name. How many bytes
    /// it has.
    pub fn finish(mut self, manifest: &Manifest) -> Result<u64> {
        let mut json = self.json(manifest)?;
        if json.len() as u64 > self.reserved {
            return Err(bad(&self.path, "its manifest has outgrown the room for it"));
        }
        // White space at the end of JSON means nothing.
        json.resize(usize::try_from(self.reserved).unwrap_or(json.len()), b'\n');
        let header = header(MANIFEST, self.reserved, &self.path)?;
        self.put(0, header.as_bytes())?;
        self.put(BLOCK, &json)?;
        // Two blocks of zeros end it. What was written of a member that failed is cut off first.
        let length = self.end + 2 * BLOCK;
        let cut = self.new.file.set_len(self.end).and_then(|()| self.new.file.set_len(length));
        cut.map_err(|error| self.fail(&error))?;
        let Writer { new, path, .. } = self;
        new.commit().map_err(|errno| failed("fsync", errno, &path))?;
        Ok(length)
    }

    fn json(&self, manifest: &Manifest) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(manifest)
            .map_err(|_| bad(&self.path, "its manifest cannot be written as JSON"))?;
        json.push(b'\n');
        if json.len() as u64 > MANIFEST_MAX {
            let cause = format!("its manifest would have {} bytes, the most is {MANIFEST_MAX}", json.len());
            return Err(bad(&self.path, cause).with_status(Status::Limit).hinting("save fewer objects at once"));
        }
        Ok(json)
    }

    /// Writes bytes; zeros alone are left out of the file, which reads as zeros there.
    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let file = &mut self.new.file;
        let put = |file: &mut std::fs::File| -> io::Result<()> {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        };
        // What a member that failed has left there is no hole.
        let is_new = file.metadata().is_ok_and(|now| now.len() <= at);
        if is_new && bytes.len() == PIECE && bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        put(file).map_err(|error| self.fail(&error))
    }

    fn fail(&self, error: &io::Error) -> Error {
        failed("write", file::errno(error), &self.path)
    }
}

fn failed(call: &'static str, errno: Errno, path: &Path) -> Error {
    let error = Error::new(call, errno, shown(path));
    match errno {
        Errno::EEXIST => error.because("there is a file of that name, which is never overwritten"),
        Errno::EINVAL if path.file_name().is_none() => error.because("it is no name of a file"),
        // The archive is not an object; what is missing is its directory.
        Errno::ENOENT => error.because("there is no such directory").with_status(Status::Failed),
        _ => error,
    }
}

fn header(name: &str, size: u64, path: &Path) -> Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name).map_err(|_| bad(path, "the name of a member is too long"))?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}
