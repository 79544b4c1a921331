#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const EVERYTHING: [&[u8]; 6] = [
    include_bytes!("../../tests/fixtures/pickle/everything.0.pkl"),
    include_bytes!("../../tests/fixtures/pickle/everything.1.pkl"),
    include_bytes!("../../tests/fixtures/pickle/everything.2.pkl"),
    include_bytes!("../../tests/fixtures/pickle/everything.3.pkl"),
    include_bytes!("../../tests/fixtures/pickle/everything.4.pkl"),
    include_bytes!("../../tests/fixtures/pickle/everything.5.pkl"),
];

fn message(bytes: &[u8]) -> String {
    from_slice(bytes).unwrap_err().to_string()
}

#[test]
fn every_protocol_gives_the_same_plain_values() {
    for (protocol, bytes) in EVERYTHING.into_iter().enumerate() {
        let value = from_slice(bytes).unwrap_or_else(|error| panic!("protocol {protocol}: {error}"));
        let get = |key: &str| value.get(key).unwrap_or_else(|| panic!("protocol {protocol} has no {key}"));
        assert!(get("none").is_none());
        assert_eq!(get("flags").items().unwrap(), [Value::Bool(true), Value::Bool(false)]);
        let small = [0, 255, 256, 65535, 65536, -1, -(1 << 31), 1 << 31, i64::MAX, i64::MIN];
        assert_eq!(get("small").to_i64s().unwrap(), small, "protocol {protocol}");
        let large: Vec<&[u8]> =
            vec![&[0, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 0, 0xc0], &[0, 0, 0, 0, 0, 0, 0, 0x80, 0]];
        for (found, bytes) in get("large").items().unwrap().iter().zip(large) {
            let Value::BigInt(found) = found else { panic!("{found:?}") };
            assert_eq!(found[..9], *bytes, "protocol {protocol}");
        }
        assert_eq!(get("floats").to_f64s().unwrap(), [0.5, -1e300, f64::INFINITY]);
        assert_eq!(get("text").as_str(), Some("Grüße, 世界 \u{1f600}\n\\ ''"));
        assert_eq!(get("bytes").as_bytes(), Some(b"\x00\xff'\"\n".as_slice()));
        assert_eq!(get("bytearray").as_bytes(), Some([1, 2].as_slice()));
        let empty = get("empty").items().unwrap();
        assert_eq!(empty.iter().map(Value::kind).collect::<Vec<_>>().join(" "), {
            "a list a tuple a dictionary a set a set bytes text"
        });
        let lengths = get("tuples").items().unwrap().iter().map(|tuple| tuple.items().unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(get("set").to_i64s().unwrap(), [7]);
        assert_eq!(get("frozen").to_i64s().unwrap(), [8]);
        let keys = get("ordered").entries().unwrap().iter().map(|(key, _)| key.as_str().unwrap());
        assert_eq!(keys.collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(get("counts").get("cat").unwrap().as_usize(), Some(3));
        let shared = get("shared").items().unwrap();
        let (Value::List(one), Value::List(two)) = (&shared[0], &shared[1]) else { panic!("{shared:?}") };
        assert!(std::sync::Arc::ptr_eq(one, two), "sharing is kept");
        for key in ["u8", "fortran"] {
            let array = get(key).as_array().unwrap();
            assert_eq!(
                (array.shape.as_slice(), array.as_u8().unwrap()),
                ([2, 3].as_slice(), [0, 1, 2, 3, 4, 5].as_slice())
            );
        }
        assert_eq!(get("i64").to_i64s().unwrap(), [-1, 2]);
        assert_eq!(get("big_endian").to_i64s().unwrap(), [1, -2]);
        assert_eq!(get("f4").to_f64s().unwrap(), [0.5, -2.0]);
        assert_eq!(get("scalar").as_f64(), Some(2.5));
        assert_eq!(get("count").as_i64(), Some(-7));
        assert_eq!(get("many").to_i64s().unwrap(), (0..2500).collect::<Vec<_>>());
        assert_eq!(value.get_index(1).unwrap().as_str(), Some("by number"));
    }
}

#[test]
fn a_plan_changes_memory_and_not_the_value() {
    for bytes in EVERYTHING {
        let plan = Plan::of(bytes, Limits::default()).unwrap();
        let planned = Reader::new(bytes, Limits::default(), &mut ()).with_plan(plan).read().unwrap();
        assert_eq!(planned, from_slice(bytes).unwrap());
    }
}

#[test]
fn strings_of_python_2_are_bytes_that_read_as_text() {
    // cPickle.dumps({'data': 'a\xff', 'labels': [6]}, 2) and the same by hand in protocol 0.
    for bytes in [
        b"\x80\x02}q\x01(U\x04dataU\x02a\xffU\x06labelsq\x02]q\x03K\x06au.".as_slice(),
        b"(dp1\nS'data'\np2\nS'a\\xff'\nsS\"labels\"\n(lp3\nI6\nas.",
    ] {
        let value = from_slice(bytes).unwrap();
        assert_eq!(value.get("data").unwrap().as_bytes(), Some(b"a\xff".as_slice()));
        assert_eq!(value.get("labels").unwrap().to_i64s().unwrap(), [6]);
    }
}

#[test]
fn pickles_follow_each_other() {
    let mut source = [EVERYTHING[1], EVERYTHING[4], b"rest"].concat();
    let mut source = source.as_mut_slice() as &[u8];
    for _ in 0..2 {
        from_reader(&mut source, Limits::default(), &mut ()).unwrap();
    }
    assert_eq!(source, b"rest");
}

#[test]
fn code_is_refused_with_its_name_and_place() {
    insta::assert_snapshot!(message(b"cos\nsystem\n(S'echo hello'\ntR."), @"the pickle asks for `os.system` at byte 0, which is not plain data; nothing of it was executed, and a file that needs it cannot be read");
    insta::assert_snapshot!(message(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R."), @"the pickle asks for `builtins.eval` at byte 18, which is not plain data; nothing of it was executed, and a file that needs it cannot be read");
    insta::assert_snapshot!(message(b"(ios\nsystem\n."), @"the pickle asks for `os.system` at byte 1, which is not plain data; nothing of it was executed, and a file that needs it cannot be read");
    insta::assert_snapshot!(message(b"cbuiltins\nint\n(tR."), @"the pickle is malformed at byte 17: `builtins.int` is called with unsupported arguments");
    insta::assert_snapshot!(message(b"cnumpy.core.multiarray\n_reconstruct\nNR."), @"the pickle is malformed at byte 37: arguments that are None, not a tuple");
    insta::assert_snapshot!(message(b"\x80\x02\x82\x01."), @"byte 0x82 at offset 2 is not a supported pickle instruction (the extension registry of one Python process is not available)");
    insta::assert_snapshot!(message(b"P7\n."), @"the pickle is malformed at byte 0: it refers to data outside of the pickle (a persistent id)");
}

#[test]
fn damage_is_told_with_its_place() {
    insta::assert_snapshot!(message(b""), @"the pickle is cut off: it ends at byte 0, before its STOP instruction; copy or download the file again");
    insta::assert_snapshot!(message(b"\x80\x09."), @"the pickle is malformed at byte 0: protocol 9; 0 to 5 can be read");
    insta::assert_snapshot!(message(b"PK\x03\x04"), @"the pickle is cut off: it ends at byte 4, in a line of text; copy or download the file again");
    insta::assert_snapshot!(message(b"<html>"), @"byte 0x3c at offset 0 is not a supported pickle instruction (the file is damaged, or is not a pickle)");
    insta::assert_snapshot!(message(b"]K\x01"), @"the pickle is cut off: it ends at byte 3, before its STOP instruction; copy or download the file again");
    insta::assert_snapshot!(message(b"]K"), @"the pickle is cut off: it ends at byte 2, in an integer; copy or download the file again");
    insta::assert_snapshot!(message(b"T\x10\x00\x00\x00short"), @"the pickle is cut off: it ends at byte 10, 11 bytes before the end of a piece of 16 bytes; copy or download the file again");
    insta::assert_snapshot!(message(b"S'no end"), @"the pickle is cut off: it ends at byte 8, in a line of text; copy or download the file again");
    insta::assert_snapshot!(message(b"X\x01\x00\x00\x00\xff."), @"the pickle is malformed at byte 0: text that is not UTF-8");
    insta::assert_snapshot!(message(b"."), @"the pickle is malformed at byte 0: the stack is empty");
    insta::assert_snapshot!(message(b"(K\x01ut."), @"the pickle is malformed at byte 3: a dictionary key without a value");
    insta::assert_snapshot!(message(b"(."), @"the pickle is malformed at byte 1: the stack is empty");
    insta::assert_snapshot!(message(b"h\x05."), @"the pickle is malformed at byte 0: memo entry 5 is used before it is stored");
    insta::assert_snapshot!(message(b"}K\x01a."), @"the pickle is malformed at byte 3: items appended to a dictionary");
    insta::assert_snapshot!(message(b"}(K\x01u."), @"the pickle is malformed at byte 4: a dictionary key without a value");
    insta::assert_snapshot!(message(b"K\x01b."), @"the pickle is malformed at byte 2: a state for something that is not an object, or contains itself");
    insta::assert_snapshot!(message(b"Inumber\n."), @"the pickle is malformed at byte 0: an integer that is not 1 to 4300 decimal digits");
    insta::assert_snapshot!(message(b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R."), @"the pickle is malformed at byte 21: element type `O` is not a numeric type");
}

#[test]
fn arrays_must_have_the_bytes_of_their_shape() {
    let bytes = EVERYTHING[2];
    let at = bytes
        .windows(7)
        .position(|w| w == b"K\x02K\x03\x86q\x38")
        .or_else(|| bytes.windows(5).position(|w| w == b"K\x02K\x03\x86"));
    let mut broken = bytes.to_vec();
    broken[at.unwrap() + 1] = 9;
    let error = message(&broken);
    assert!(error.contains("shape [9, 3] with 1 bytes per element has 6 bytes"), "{error}");
}

/// A list that is appended to after it was placed inside another could contain itself.
#[test]
fn values_cannot_contain_themselves() {
    // a = []; a.append(a)
    insta::assert_snapshot!(message(b"\x80\x02]q\x00h\x00a."), @"the pickle is malformed at byte 7: items appended to something that is not a list, or that contains itself");
    insta::assert_snapshot!(message(b"\x80\x02}q\x00K\x01h\x00s."), @"the pickle is malformed at byte 9: entries stored in something that is not a dictionary, or that contains itself");
}

#[test]
fn bombs_stop_at_the_limits() {
    let small = Limits { memory: 1 << 20, depth: 100 };
    let limited = |bytes: &[u8]| from_reader(bytes, small, &mut ()).unwrap_err().to_string();
    // Nesting, which would overflow the stack of a recursive reader or drop.
    insta::assert_snapshot!(limited(&[[b']'; 200].as_slice(), &[b'a'; 199], b"."].concat()), @"the pickle breaks a limit at byte 300: values nested more than 100 deep");
    insta::assert_snapshot!(limited(&[b")".as_slice(), &[0x85; 200], b"."].concat()), @"the pickle breaks a limit at byte 100: values nested more than 100 deep");
    // A length that is not there, and one beyond the limit.
    insta::assert_snapshot!(message(b"\x8e\x00\x00\x00\x10\x00\x00\x00\x00abc"), @"the pickle is cut off: it ends at byte 12, 268435453 bytes before the end of a piece of 268435456 bytes; copy or download the file again");
    insta::assert_snapshot!(limited(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc"), @"the pickle breaks a limit at byte 0: 9223372036854775807 bytes in one piece, where 1048576 are left of the memory limit");
    // One value per byte.
    insta::assert_snapshot!(limited(&vec![b'N'; 100_000]), @"the pickle breaks a limit at byte 16384: its values need more than 1048576 bytes of memory");
    insta::assert_snapshot!(limited(&vec![b'('; 1_000_000]), @"the pickle breaks a limit at byte 131072: its values need more than 1048576 bytes of memory");
    // A long list copied by three-byte calls: set(list) again and again.
    let mut copies = b"\x80\x02cbuiltins\nset\nq\x00](".to_vec();
    copies.extend([b'N'; 5000]);
    copies.extend(b"e\x85q\x010");
    copies.extend(b"h\x00h\x01R\x85".repeat(1000));
    insta::assert_snapshot!(limited(&copies), @"the pickle breaks a limit at byte 5066: its values need more than 1048576 bytes of memory");
    // Doubling by reference costs nothing: the values are shared.
    let mut doubling = b"\x80\x02]q\x00".to_vec();
    for i in 1..60u8 {
        doubling.extend([b']', b'q', i, b'(', b'h', i - 1, b'h', i - 1, b'e']);
    }
    doubling.push(b'.');
    assert!(from_reader(doubling.as_slice(), small, &mut ()).is_ok());
}

struct Classes;

impl Hooks for Classes {
    fn allow(&mut self, module: &str, name: &str) -> bool {
        module == "bench" && name == "Result"
    }

    fn persistent(&mut self, id: Value) -> Result<Value, String> {
        Ok(Value::Str(format!("storage {}", id.as_str().ok_or("no text")?).into()))
    }
}

#[test]
fn hooks_extend_the_list() {
    let bytes = b"\x80\x02cbench\nResult\nK\x05\x85\x81q\x00}X\x03\x00\x00\x00acch\x00NP12\n\x870U\x01xsb.";
    // Result.__new__(Result, 5), state {'acc': 'x'}; in between the object itself was remembered and used.
    let error = from_reader(bytes.as_slice(), Limits::default(), &mut Classes).unwrap_err();
    assert!(error.to_string().contains("contains itself"), "{error}");
    let bytes = b"\x80\x02cbench\nResult\nK\x05\x85\x81q\x00}X\x03\x00\x00\x00accP12\nsb.";
    let value = from_reader(bytes.as_slice(), Limits::default(), &mut Classes).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!((object.class.name.as_str(), object.args.as_slice()), ("Result", [Value::Int(5)].as_slice()));
    assert_eq!(object.attribute("acc").unwrap().as_str(), Some("storage 12"));
}

struct Sums(Vec<i64>);

impl Hooks for Sums {
    fn dict_item(&mut self, depth: usize, _: &Value, value: &mut Value) -> bool {
        let Some(items) = value.to_i64s().filter(|_| depth == 1) else { return false };
        self.0.push(items.iter().sum());
        *value = Value::None;
        true
    }
}

/// A dictionary of many long lists, each taken over as it comes, in memory for a few of them.
#[test]
fn a_table_larger_than_the_limit_is_read_item_by_item() {
    let mut bytes = b"\x80\x02}q\x00".to_vec();
    for i in 0..100u8 {
        bytes.extend([b'K', i, b']', b'r', i, 1, 0, 0, b'(']);
        for k in 0..1000u32 {
            bytes.extend([b'M', k as u8, (k >> 8) as u8]);
        }
        bytes.extend(b"es");
    }
    bytes.push(b'.');
    let limits = Limits { memory: 200_000, depth: 10 };
    let error = from_reader(bytes.as_slice(), limits, &mut Sums(Vec::new())).unwrap_err();
    assert!(matches!(error, PickleError::Limit { .. }), "without a plan all are remembered: {error}");
    let plan = Plan::of(bytes.as_slice(), limits).unwrap();
    let mut sums = Sums(Vec::new());
    Reader::new(bytes.as_slice(), limits, &mut sums).with_plan(plan).read().unwrap();
    assert_eq!(sums.0, vec![499_500; 100]);
}

/// Instructions in random order reach deeper than random bytes.
const INSTRUCTIONS: &[&[u8]] = &[
    b"(",
    b".",
    b"0",
    b"1",
    b"2",
    b"N",
    b"K\x01",
    b"]",
    b")",
    b"}",
    b"\x8f",
    b"l",
    b"t",
    b"d",
    b"\x91",
    b"\x85",
    b"\x86",
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x90",
    b"h\x00",
    b"h\x01",
    b"q\x00",
    b"q\x01",
    b"\x94",
    b"cbench\nResult\n",
    b"ccollections\nOrderedDict\n",
    b"cnumpy\ndtype\n",
    b"R",
    b"b",
    b"o",
    b"\x81",
    b"\x92",
    b"U\x02f4",
    b"X\x01\x00\x00\x00a",
    b"Q",
    b"\x93",
    b"ibench\nResult\n",
    b"cbuiltins\nset\n",
    b"c_codecs\nencode\n",
    b"cnumpy.core.multiarray\nscalar\n",
];

/// How many inputs to try: `PROPTEST_CASES`, if set, for a longer run.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(2000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = from_reader(bytes.as_slice(), Limits { memory: 1 << 20, depth: 20 }, &mut Classes);
    }

    #[test]
    fn any_program_is_run_or_refused(program in proptest::collection::vec(proptest::sample::select(INSTRUCTIONS), 0..60)) {
        let bytes = [program.concat().as_slice(), b"."].concat();
        let limits = Limits { memory: 1 << 20, depth: 20 };
        if let Ok(value) = from_reader(bytes.as_slice(), limits, &mut Classes) {
            prop_assert!(value.depth() <= 20);
            if let Ok(plan) = Plan::of(bytes.as_slice(), limits) {
                let planned = Reader::new(bytes.as_slice(), limits, &mut Classes).with_plan(plan).read();
                prop_assert_eq!(planned.ok(), Some(value));
            }
        }
    }

    /// A real pickle with one byte changed, or cut.
    #[test]
    fn a_damaged_pickle_is_read_or_refused(protocol in 0..6usize, at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let mut bytes = EVERYTHING[protocol].to_vec();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert!(from_slice(&bytes).is_err());
        } else {
            bytes[at] = byte;
            let _ = from_reader(bytes.as_slice(), Limits { memory: 1 << 24, depth: 20 }, &mut ());
        }
    }
}
