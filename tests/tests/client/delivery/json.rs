//! What is sent as JSON: to the letter what serde_json writes, though the strings are not its own.

use std::collections::BTreeMap;

use hermes_proto::SendError;
use hermes_tests::*;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::value::RawValue;

#[track_caller]
fn is_the_same<T: Serialize + ?Sized>(value: &T) {
    let expected = serde_json::to_string(value).map_err(|error| error.to_string());
    assert_eq!(sent_as_json(value), expected.map_err(SendError::Serialize));
}

/// Whatever can be said to a serializer.
#[derive(Clone, Debug)]
enum Data {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Wide(i128, u128),
    Float(f32, f64),
    Char(char),
    Str(String),
    Shown(String),
    Bytes(Vec<u8>),
    None,
    Unit,
    UnitStruct,
    UnitVariant,
    Some(Box<Data>),
    NewtypeStruct(Box<Data>),
    NewtypeVariant(Box<Data>),
    Seq(Vec<Data>),
    Tuple(Vec<Data>),
    TupleStruct(Vec<Data>),
    TupleVariant(Vec<Data>),
    Map(Vec<(Data, Data)>),
    /// With every other field skipped.
    Struct(Vec<Data>),
    StructVariant(Vec<Data>),
}

const NAME: &str = "Na\"me";
const VARIANT: &str = "vari\nant";
const FIELD: &str = "fi\\eld";

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        macro_rules! parts {
            ($parts:expr, $method:ident, $values:expr $(, $name:expr)?) => {{
                let mut parts = $parts?;
                for value in $values {
                    parts.$method($($name,)? value)?;
                }
                parts.end()
            }};
        }
        match self {
            Data::Bool(value) => s.serialize_bool(*value),
            Data::Signed(value) => match value % 4 {
                0 => s.serialize_i8(*value as i8),
                1 => s.serialize_i16(*value as i16),
                2 => s.serialize_i32(*value as i32),
                _ => s.serialize_i64(*value),
            },
            Data::Unsigned(value) => match value % 4 {
                0 => s.serialize_u8(*value as u8),
                1 => s.serialize_u16(*value as u16),
                2 => s.serialize_u32(*value as u32),
                _ => s.serialize_u64(*value),
            },
            Data::Wide(signed, 0) => s.serialize_i128(*signed),
            Data::Wide(_, unsigned) => s.serialize_u128(*unsigned),
            Data::Float(short, 0.0) => s.serialize_f32(*short),
            Data::Float(_, long) => s.serialize_f64(*long),
            Data::Char(value) => s.serialize_char(*value),
            Data::Str(value) => s.serialize_str(value),
            Data::Shown(value) => s.collect_str(&format_args!("{value}, {value}")),
            Data::Bytes(value) => s.serialize_bytes(value),
            Data::None => s.serialize_none(),
            Data::Unit => s.serialize_unit(),
            Data::UnitStruct => s.serialize_unit_struct(NAME),
            Data::UnitVariant => s.serialize_unit_variant(NAME, 1, VARIANT),
            Data::Some(value) => s.serialize_some(value),
            Data::NewtypeStruct(value) => s.serialize_newtype_struct(NAME, value),
            Data::NewtypeVariant(value) => s.serialize_newtype_variant(NAME, 1, VARIANT, value),
            Data::Seq(values) => parts!(s.serialize_seq(None), serialize_element, values),
            Data::Tuple(values) => {
                parts!(s.serialize_tuple(values.len()), serialize_element, values)
            }
            Data::TupleStruct(values) => {
                parts!(s.serialize_tuple_struct(NAME, values.len()), serialize_field, values)
            }
            Data::TupleVariant(values) => {
                let parts = s.serialize_tuple_variant(NAME, 1, VARIANT, values.len());
                parts!(parts, serialize_field, values)
            }
            Data::Map(members) => {
                let mut parts = s.serialize_map(None)?;
                for (index, (name, value)) in members.iter().enumerate() {
                    if index % 2 == 0 {
                        parts.serialize_entry(name, value)?;
                    } else {
                        parts.serialize_key(name)?;
                        parts.serialize_value(value)?;
                    }
                }
                parts.end()
            }
            Data::Struct(values) => {
                let mut parts = s.serialize_struct(NAME, values.len())?;
                for value in values {
                    parts.skip_field(NAME)?;
                    parts.serialize_field(FIELD, value)?;
                }
                parts.end()
            }
            Data::StructVariant(values) => {
                let mut parts = s.serialize_struct_variant(NAME, 1, VARIANT, values.len())?;
                for value in values {
                    parts.skip_field(NAME)?;
                    parts.serialize_field(FIELD, value)?;
                }
                parts.end()
            }
        }
    }
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[\"\\\\\\x00-\\x1f\\x7f]",
        "[a-z é世🚀]{0,20}",
        "[a-z]{60,70}",
        any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn leaf() -> impl Strategy<Value = Data> {
    prop_oneof![
        1 => any::<bool>().prop_map(Data::Bool),
        1 => any::<i64>().prop_map(Data::Signed),
        1 => any::<u64>().prop_map(Data::Unsigned),
        1 => (any::<i128>(), prop_oneof![Just(0), any::<u128>()]).prop_map(|(a, b)| Data::Wide(a, b)),
        1 => (any::<f32>(), prop_oneof![Just(0.0), any::<f64>()]).prop_map(|(a, b)| Data::Float(a, b)),
        1 => any::<char>().prop_map(Data::Char),
        4 => string().prop_map(Data::Str),
        1 => string().prop_map(Data::Shown),
        1 => vec(any::<u8>(), 0..5).prop_map(Data::Bytes),
        1 => Just(Data::None),
        1 => Just(Data::Unit),
        1 => Just(Data::UnitStruct),
        1 => Just(Data::UnitVariant),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    leaf().prop_recursive(4, 40, 5, |inner| {
        let one = || inner.clone().prop_map(Box::new);
        let several = || vec(inner.clone(), 0..5);
        prop_oneof![
            one().prop_map(Data::Some),
            one().prop_map(Data::NewtypeStruct),
            one().prop_map(Data::NewtypeVariant),
            several().prop_map(Data::Seq),
            several().prop_map(Data::Tuple),
            several().prop_map(Data::TupleStruct),
            several().prop_map(Data::TupleVariant),
            // Names may be what can't be one: that is an error, and the same.
            vec((leaf(), inner.clone()), 0..4).prop_map(Data::Map),
            vec((string().prop_map(Data::Str), inner.clone()), 0..4).prop_map(Data::Map),
            several().prop_map(Data::Struct),
            several().prop_map(Data::StructVariant),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_is_what_serde_json_writes(data in data()) {
        let expected = serde_json::to_string(&data).map_err(|error| error.to_string());
        prop_assert_eq!(sent_as_json(&data), expected.map_err(SendError::Serialize));
    }
}

/// Each of them at every place relative to the words and blocks that are looked at together.
#[test]
fn every_byte_that_is_escaped() {
    for length in 0..150 {
        for char in (0..=0x80).filter_map(char::from_u32) {
            for at in [0, length / 3, length] {
                let (before, after) = ("x".repeat(at), "é".repeat(length - at));
                is_the_same(&format!("{before}{char}{after}{char}"));
            }
        }
    }
}

#[test]
fn json_within_json_stays_as_it_is() {
    #[derive(Serialize)]
    struct Message<'a> {
        r#type: &'a str,
        raw: Vec<&'a RawValue>,
        #[serde(flatten)]
        rest: BTreeMap<&'a str, &'a RawValue>,
    }

    let raw = |json| serde_json::from_str::<&RawValue>(json).unwrap();
    let parts = [r#""\u0041\/""#, "[1, 2.50 ,\n\"\\\"\"]", "1e999", r#"{"a" : 1}"#];
    let raws: Vec<&RawValue> = parts.iter().map(|part| raw(part)).collect();
    let rest = BTreeMap::from([("odd", raws[1]), ("", raws[0])]);
    let message = Message { r#type: "a \"raw\" one", raw: raws, rest };
    is_the_same(&message);
    let sent = sent_as_json(&message).unwrap();
    assert!(parts.iter().all(|part| sent.contains(part)), "{sent}");
    is_the_same(raw(parts[2]));
}

/// A format for machines would have its four bytes.
#[test]
fn it_is_for_people_to_read() {
    is_the_same(&std::net::Ipv4Addr::LOCALHOST);
}

/// What serde_json calls its own is its own only where it is all there is.
#[test]
fn names_like_those_of_serde_json() {
    #[derive(Serialize)]
    struct Field {
        before: u8,
        #[serde(rename = "$serde_json::private::RawValue")]
        raw: &'static str,
        #[serde(rename = "$serde_json::private::Number")]
        number: &'static str,
    }

    #[derive(Serialize)]
    #[serde(rename = "$serde_json::Two")]
    struct Two {
        one: u8,
        two: u8,
    }

    is_the_same(&Field { before: 1, raw: "a\"b", number: "2" });
    is_the_same(&Two { one: 1, two: 2 });
}
