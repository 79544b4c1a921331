//! Changes that readers of files are afraid of.

use gdas::rng::Rng;

/// Lengths and counts that are near a limit of some type.
const NUMBERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// What formats of text mean something by.
const SIGNS: &[u8] = b"0123456789-.,\"'{}[]()|~+=\n\r \0/\\";

/// An input made from one of `from` (and perhaps a piece of another) by a few changes.
pub(crate) fn mutate(from: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = from[rng.below(from.len())].clone();
    for _ in 0..=rng.below(4) {
        change(&mut bytes, from, words, rng);
    }
    // Nothing grows without end.
    bytes.truncate(1 << 20);
    bytes
}

fn change(bytes: &mut Vec<u8>, from: &[Vec<u8>], words: &[&str], rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(rng.next_u32() as u8);
        return;
    }
    // Headers stand at the front and directories at the end: half of all changes go there.
    let length = bytes.len();
    let at = match rng.below(4) {
        0 => rng.below(length.min(128)),
        1 => length - 1 - rng.below(length.min(128)),
        _ => rng.below(length),
    };
    let span = 1 + rng.below(length - at).min(rng.below(64));
    match rng.below(10) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next_u32() as u8,
        2 | 3 => {
            let number = NUMBERS[rng.below(NUMBERS.len())];
            let width = [1, 2, 4, 8][rng.below(4)];
            let mut coded = number.to_le_bytes()[..width].to_vec();
            if rng.below(2) == 0 {
                coded.reverse();
            }
            for (place, byte) in bytes[at..].iter_mut().zip(coded) {
                *place = byte;
            }
        }
        4 => drop(bytes.drain(at..at + span)),
        5 => {
            let piece = bytes[at..at + span].to_vec();
            let times = 1 + rng.below(4) * rng.below(64);
            bytes.splice(at..at, piece.repeat(times));
        }
        6 => bytes.truncate(at),
        7 => {
            let other = &from[rng.below(from.len())];
            if !other.is_empty() {
                let start = rng.below(other.len());
                let end = start + 1 + rng.below(other.len() - start);
                bytes.splice(at..at, other[start..end].iter().copied());
            }
        }
        8 if !words.is_empty() => {
            let word = words[rng.below(words.len())];
            let end = if rng.below(2) == 0 { at } else { at + span };
            bytes.splice(at..end, word.bytes());
        }
        _ => bytes[at] = SIGNS[rng.below(SIGNS.len())],
    }
}
