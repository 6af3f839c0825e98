//! The types of the running kernel, /sys/kernel/btf/vmlinux: where the members of its structures are.
//!
//! The format is Documentation/bpf/btf.rst. Every number in it is taken for what anybody could have written:
//! what does not fit is not found, and nothing panics.

/// Kinds of types that are looked at, include/uapi/linux/btf.h.
const POINTER: u8 = 2;
const ARRAY: u8 = 3;
const STRUCT: u8 = 4;
const FUNCTION: u8 = 12;

const MAGIC: u16 = 0xeb9f;
/// Each type begins with three numbers: struct btf_type.
const HEAD: usize = 12;
/// And each member is three more: struct btf_member.
const MEMBER: usize = 12;

/// The types of a kernel, of which some were looked for by name.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; the first is number 1.
    starts: Vec<u32>,
    /// The number of each structure and of the function that were looked for, in their order.
    structs: Vec<(&'a str, Option<u32>)>,
    function: Option<u32>,
}

/// A member of a structure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// In bytes from the start of the structure.
    pub offset: u32,
    pub shape: Shape,
}

/// What a member is, as far as it matters for reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Pointer,
    /// Of so many elements; 0 where the structure only ends there.
    Array(u32),
    Other,
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn size(number: u32) -> usize {
    // The machine has 64 bits.
    number as usize
}

/// The head of a type.
#[derive(Clone, Copy)]
struct Head {
    name: u32,
    kind: u8,
    count: u32,
    /// Whether the offsets of members hold the widths of bit fields too.
    packed: bool,
    /// The size of a structure.
    size: u32,
}

impl Head {
    fn read(types: &[u8], at: usize) -> Option<Head> {
        let (name, info, size) = (number(types, at)?, number(types, at + 4)?, number(types, at + 8)?);
        // Five bits of kind, between the count and the flag.
        let kind = info.to_be_bytes()[0] & 0x1f;
        Some(Head { name, kind, count: info & 0xffff, packed: info >> 31 == 1, size })
    }

    /// How many bytes come behind the head.
    fn rest(self) -> Option<usize> {
        let count = size(self.count);
        Some(match self.kind {
            // Integer, variable, tag of a declaration.
            1 | 14 | 17 => 4,
            // Array.
            ARRAY => 12,
            // Structure and union, section of data, enumeration of 64 bits.
            STRUCT | 5 | 15 | 19 => 12 * count,
            // Enumeration, parameters of a function.
            6 | 13 => 8 * count,
            // Pointer, declaration, names of types, function, float, tag of a type.
            POINTER | 7..=12 | 16 | 18 => 0,
            // The length of a kind that we do not know is not known either.
            _ => return None,
        })
    }
}

impl<'a> Btf<'a> {
    /// Looks through all types once, for structures and for a function by name. `None` if the bytes are no BTF.
    pub fn parse(bytes: &'a [u8], structs: &[&'a str], function: &str) -> Option<Btf<'a>> {
        if u16::from_ne_bytes(*bytes.first_chunk()?) != MAGIC {
            return None;
        }
        let section = |at: usize| {
            let start = number(bytes, at)?.checked_add(number(bytes, 4)?)?;
            bytes.get(size(start)..size(start).checked_add(size(number(bytes, at + 4)?))?)
        };
        let (types, strings) = (section(8)?, section(16)?);
        let mut btf = Btf {
            types,
            strings,
            starts: Vec::with_capacity(types.len() / 16),
            structs: structs.iter().map(|name| (*name, None)).collect(),
            function: None,
        };
        let mut at = 0;
        while at < types.len() {
            let head = Head::read(types, at)?;
            btf.starts.push(u32::try_from(at).ok()?);
            let id = u32::try_from(btf.starts.len()).ok()?;
            match head.kind {
                STRUCT if head.name != 0 => btf.found(head, id),
                FUNCTION if btf.function.is_none() && btf.is_named(head.name, function) => btf.function = Some(id),
                _ => {}
            }
            at += HEAD + head.rest()?;
        }
        Some(btf)
    }

    /// Notes a structure that is looked for. Of several of one name the first counts.
    fn found(&mut self, head: Head, id: u32) {
        let named = self.structs.iter().position(|(name, _)| self.is_named(head.name, name));
        if let Some((_, known)) = named.and_then(|at| self.structs.get_mut(at)) {
            known.get_or_insert(id);
        }
    }

    fn is_named(&self, at: u32, name: &str) -> bool {
        let rest = self.strings.get(size(at)..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    fn head(&self, id: u32) -> Option<(usize, Head)> {
        let at = size(*self.starts.get(size(id.checked_sub(1)?))?);
        Some((at, Head::read(self.types, at)?))
    }

    fn structure(&self, name: &str) -> Option<(usize, Head)> {
        self.head(self.structs.iter().find(|(known, _)| *known == name)?.1?)
    }

    /// The number of the function.
    pub fn function(&self) -> Option<u32> {
        self.function
    }

    /// The size of a structure in bytes.
    pub fn size(&self, structure: &str) -> Option<u32> {
        Some(self.structure(structure)?.1.size)
    }

    /// A member of a structure, not of one within it. `None` for one that does not begin with a byte.
    pub fn member(&self, structure: &str, name: &str) -> Option<Member> {
        let (at, head) = self.structure(structure)?;
        let members = (0..size(head.count)).map(|index| at + HEAD + index * MEMBER);
        let at =
            members.into_iter().find(|at| number(self.types, *at).is_some_and(|text| self.is_named(text, name)))?;
        let place = number(self.types, at + 8)?;
        let bits = if head.packed { place & 0x00ff_ffff } else { place };
        bits.is_multiple_of(8).then_some(())?;
        let (start, head) = self.head(number(self.types, at + 4)?)?;
        let shape = match head.kind {
            POINTER => Shape::Pointer,
            ARRAY => Shape::Array(number(self.types, start + HEAD + 8)?),
            _ => Shape::Other,
        };
        Some(Member { offset: bits / 8, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/sys/kernel/btf/vmlinux";

    /// Types from words, and their names.
    fn file(words: &[u32], strings: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let length = u32::try_from(words.len() * 4).unwrap();
        for word in [24, 0, length, length, u32::try_from(strings.len()).unwrap()].iter().chain(words) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    const NAMES: &[u8] = b"\0int\0semid\0semadj\0sem_undo\0bits\0bpf_iter_task\0";

    fn known() -> Vec<u8> {
        let words = [
            // 1: int; 2: a pointer to it; 3: an array of it that ends a structure
            &[1, 1 << 24, 4, 32][..],
            &[0, 2 << 24, 1],
            &[0, 3 << 24, 0, 1, 1, 0],
            // 4: a structure whose offsets hold widths: at 8 bytes a number, at 12 the array, at 99 bits a field
            &[18, 1 << 31 | 4 << 24 | 3, 16, 5, 1, 64, 11, 3, 96, 27, 1, 3 << 24 | 99],
            // 5: parameters of a function, 6: the function
            &[0, 13 << 24 | 1, 1, 0, 2],
            &[32, 12 << 24, 5],
        ];
        file(&words.concat(), NAMES)
    }

    #[test]
    fn members_and_the_function_are_found_by_name() {
        let bytes = known();
        let btf = Btf::parse(&bytes, &["sem_undo", "none"], "bpf_iter_task").unwrap();
        assert_eq!(btf.member("sem_undo", "semid"), Some(Member { offset: 8, shape: Shape::Other }));
        assert_eq!(btf.member("sem_undo", "semadj"), Some(Member { offset: 12, shape: Shape::Array(0) }));
        assert_eq!((btf.size("sem_undo"), btf.function()), (Some(16), Some(6)));
        for (structure, member) in [("sem_undo", "bits"), ("sem_undo", "sem"), ("none", "semid"), ("other", "semid")] {
            assert_eq!(btf.member(structure, member), None, "{structure}.{member}");
        }
        assert_eq!(Btf::parse(&bytes, &[], "bpf_iter").unwrap().function(), None);
    }

    fn ask(bytes: &[u8]) {
        if let Some(btf) = Btf::parse(bytes, &["sem_undo", "task_struct", "list_head"], "bpf_iter_task") {
            for (structure, member) in [("sem_undo", "semadj"), ("task_struct", "sysvsem"), ("list_head", "prev")] {
                btf.member(structure, member);
            }
        }
    }

    #[test]
    fn bytes_that_are_cut_or_turned_do_no_harm() {
        let bytes = known();
        for length in 0..bytes.len() {
            ask(&bytes[..length]);
        }
        for bit in 0..bytes.len() * 8 {
            let mut odd = bytes.clone();
            odd[bit / 8] ^= 1 << (bit % 8);
            ask(&odd);
        }
    }

    #[test]
    fn the_file_of_this_kernel_is_read_and_its_damaged_copies_do_no_harm() {
        let Ok(bytes) = std::fs::read(FILE) else { return };
        let btf = Btf::parse(&bytes, &["list_head", "task_struct"], "bpf_iter_task").unwrap();
        assert_eq!(btf.member("list_head", "prev"), Some(Member { offset: 8, shape: Shape::Pointer }));
        assert!(btf.member("task_struct", "sysvsem").is_some() || btf.size("task_struct").is_some());
        // A file that ends in the middle: its head promises more than there is, or is set right.
        let mut cut = bytes[..bytes.len().min(1 << 16)].to_vec();
        ask(&cut);
        let types = u32::try_from(cut.len() - 24 - 4096).unwrap();
        for (at, word) in [(8, 0), (12, types), (16, types), (20, 4096_u32)] {
            cut[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        // A few thousand bits, spread over the file.
        for bit in (0..cut.len() * 8).step_by(251) {
            cut[bit / 8] ^= 1 << (bit % 8);
            ask(&cut);
            cut[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
