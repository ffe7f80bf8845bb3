//! Messages broken on purpose, repeatably: the torture corpus and small damage to it.

use std::path::Path;

/// What grammars turn on.
const DICTIONARY: [&[u8]; 34] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"\0",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"@",
    b"=",
    b"%",
    b"%0d%0a",
    b"?",
    b"&",
    b"[",
    b"]",
    b"[::1]",
    b"/",
    b"(",
    b")",
    b"*",
    b" ",
    b"\t",
    b"\xff",
    b"4294967296",
    b"Content-Length: 9\r\n",
    b"i: x\r\n",
    b"v: SIP/2.0/UDP a\r\n",
    b";tag=",
];

/// xorshift64*: repeatable without a dependency.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound.max(1)
    }
}

/// Every message of the corpus, by file name.
pub(crate) fn corpus() -> Vec<(String, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = ["torture/rfc4475", "torture/rfc5118", "samples"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(tests.join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    let name = |file: &Path| file.file_stem().unwrap().to_string_lossy().into_owned();
    files.iter().map(|file| (name(file), std::fs::read(file).unwrap())).collect()
}

/// Does one small damage.
pub(crate) fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let size = random.below(24).min(bytes.len() - at);
    match random.below(7) {
        0 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        1 => drop(bytes.splice(at..at, DICTIONARY[random.below(DICTIONARY.len())].iter().copied())),
        2 => drop(bytes.drain(at..at + size)),
        3 => {
            let copy = bytes[at..at + size].to_vec();
            drop(bytes.splice(at..at, copy));
        }
        4 => {
            let from = random.below(other.len());
            let end = (from + random.below(80)).min(other.len());
            drop(bytes.splice(at..at + size, other[from..end].iter().copied()));
        }
        5 => drop(bytes.splice(at..at + size, DICTIONARY[random.below(DICTIONARY.len())].iter().copied())),
        _ if random.below(8) == 0 => bytes.truncate(at),
        _ => {}
    }
}

/// The message of that seed: one of the corpus with one to six damages.
pub(crate) fn mutant(corpus: &[(String, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut random = Random((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut bytes = corpus[random.below(corpus.len())].1.clone();
    let other = &corpus[random.below(corpus.len())].1;
    for _ in 0..1 + random.below(6) {
        mutate(&mut bytes, other, &mut random);
    }
    bytes
}
