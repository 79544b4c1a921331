//! Checksums embedded in the text files of a run directory, valid in each file's syntax for other programs.
//!
//! `config.toml` has one in a comment at its top, `result.json` as its last key (both BLAKE3 of the rest), and every
//! line of `events.jsonl` as its last key (CRC-32 of the bytes before it). Text without a recognisable checksum, as in files
//! of earlier versions, is accepted.

/// Start of `config.toml`, before the checksum.
const CONFIG: &str = "# Checksum (BLAKE3) of what follows; take this line out to change the file by hand: ";
/// Text before and after the checksum at the end of `result.json`.
const RESULT: [&str; 2] = [",\n  \"checksum\": \"", "\"\n}\n"];
/// Text before and after the checksum at the end of an event.
const EVENT: [&str; 2] = [",\"crc\":\"", "\"}"];

/// The checksum does not match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch;

/// Adds the checksum to a configuration.
pub(super) fn seal_config(text: &str) -> String {
    format!("{CONFIG}{}\n{text}", hash(text))
}

/// Verifies and removes the checksum of a configuration.
pub(super) fn open_config(text: &str) -> Result<&str, Mismatch> {
    let Some(rest) = text.strip_prefix(CONFIG) else { return Ok(text) };
    let (checksum, content) = rest.split_once('\n').ok_or(Mismatch)?;
    if hash(content) == checksum { Ok(content) } else { Err(Mismatch) }
}

/// Adds the checksum to a pretty-printed JSON object, as its last key.
pub(super) fn seal_result(text: &str) -> String {
    match text.strip_suffix("\n}").filter(|content| !content.ends_with('{')) {
        Some(content) => format!("{content}{}{}{}", RESULT[0], hash(content), RESULT[1]),
        None => text.to_owned(),
    }
}

/// Verifies and removes the checksum of a JSON object.
pub(super) fn open_result(text: &str) -> Result<String, Mismatch> {
    let Some((content, rest)) = text.rsplit_once(RESULT[0]) else { return Ok(text.to_owned()) };
    if rest.strip_suffix(RESULT[1]) == Some(&hash(content)) { Ok(format!("{content}\n}}\n")) } else { Err(Mismatch) }
}

/// Adds the checksum to a one-line JSON object, as its last key.
pub(super) fn seal_event(mut line: Vec<u8>) -> Vec<u8> {
    if line.pop_if(|last| *last == b'}').is_some() {
        let checksum = crc(&line);
        line.extend([EVENT[0], &checksum, EVENT[1]].concat().bytes());
    }
    line
}

/// Verifies the checksum of an event.
pub(super) fn check_event(line: &[u8]) -> Result<(), Mismatch> {
    let sealed = line.strip_suffix(EVENT[1].as_bytes()).and_then(|line| line.split_last_chunk::<8>());
    let sealed = sealed.and_then(|(line, checksum)| Some((line.strip_suffix(EVENT[0].as_bytes())?, checksum)));
    match sealed {
        Some((content, checksum)) if crc(content).as_bytes() != checksum => Err(Mismatch),
        _ => Ok(()),
    }
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// CRC-32 of zip, gzip and Ethernet (reflected, polynomial 0xedb88320), in hexadecimal.
fn crc(bytes: &[u8]) -> String {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8);
    format!("{:08x}", !crc)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Every text that differs from this one in one bit or was cut, as far as it still is text.
    fn damaged(text: &str) -> impl Iterator<Item = String> {
        let flips = (0..8 * text.len()).map(|bit| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        let cuts = (0..text.len()).map(|length| text.as_bytes()[..length].to_vec());
        flips.chain(cuts).filter_map(|bytes| String::from_utf8(bytes).ok())
    }

    #[test]
    fn the_checksum_of_events_is_the_usual_one() {
        // The check value of this CRC in every catalogue.
        assert_eq!(crc(b"123456789"), "cbf43926");
        assert_eq!(crc(b""), "00000000");
    }

    #[test]
    fn a_damaged_configuration_is_noticed_or_means_the_same() {
        let content = "task = \"search\"\nepochs = 3\n";
        let sealed = seal_config(content);
        assert_eq!(open_config(&sealed), Ok(content));
        assert_eq!(open_config(content), Ok(content), "of an earlier build");
        for text in damaged(&sealed) {
            let Ok(opened) = open_config(&text) else { continue };
            let Ok(table) = opened.parse::<toml::Table>() else { continue };
            // Where the file was cut within the checksum, nothing is left, and a run needs a task.
            assert!(table.is_empty() || Ok(table) == content.parse(), "{text}");
        }
    }

    #[test]
    fn a_damaged_result_is_noticed_or_means_the_same() {
        let value = json!({ "accuracy": 0.75, "checksum of": "nothing", "alphas": [[0.5, 1.0]] });
        let plain = serde_json::to_string_pretty(&value).expect("JSON");
        let sealed = seal_result(&plain);
        assert_eq!(open_result(&sealed), Ok(plain.clone() + "\n"));
        assert_eq!(open_result(&plain), Ok(plain), "of an earlier build");
        for text in damaged(&sealed) {
            let Ok(opened) = open_result(&text) else { continue };
            let Ok(mut read) = serde_json::from_str::<Value>(&opened) else { continue };
            let fields = read.as_object_mut().expect("an object");
            fields.retain(|key, _| value.get(key).is_some());
            assert_eq!(read, value, "{text}");
        }
    }

    #[test]
    fn a_damaged_event_is_noticed_or_means_the_same() {
        let value = json!({ "time": 1.5, "event": "warning", "message": "m" });
        let sealed = String::from_utf8(seal_event(value.to_string().into_bytes())).expect("UTF-8");
        assert!(serde_json::from_str::<Value>(&sealed).expect("JSON")["crc"].is_string());
        assert_eq!(check_event(value.to_string().as_bytes()), Ok(()), "of an earlier build");
        for text in damaged(&sealed) {
            if check_event(text.as_bytes()).is_err() {
                continue;
            }
            let Ok(mut read) = serde_json::from_str::<Value>(&text) else { continue };
            let fields = read.as_object_mut().expect("an object");
            fields.retain(|key, _| value.get(key).is_some());
            assert_eq!(read, value, "{text}");
        }
    }
}
