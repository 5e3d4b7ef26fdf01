//! How messages are written as JSON: by serde_json, but for strings.
//!
//! serde_json looks at a string byte by byte for what has to be escaped, which is more than half of
//! what sending takes (BENCHMARKS.md). Here the scanner looks, which takes many at a time. A test and
//! a fuzz target compare what is written.

use alloc::vec::Vec;
use core::fmt::Display;
use std::io::{self, Write};

use serde::ser::{self, Serialize, Serializer};
use serde_json::ser::{CharEscape, Formatter};

use crate::message::plain;

/// Writes a value behind what is there.
///
/// # Errors
///
/// Where its `Serialize` fails; then a part of it may be there.
pub(crate) fn write<T>(value: &T, to: &mut Vec<u8>) -> Result<(), serde_json::Error>
where
    T: Serialize + ?Sized,
{
    value.serialize(Json(&mut serde_json::Serializer::with_formatter(to, Strings)))
}

/// Bytes, to serde_json, are the string that they are the UTF-8 of.
struct Strings;

impl Formatter for Strings {
    #[inline]
    fn write_byte_array<W>(&mut self, to: &mut W, mut string: &[u8]) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        self.begin_string(to)?;
        loop {
            let (run, rest) = string.split_at_checked(plain(string)).unwrap_or((string, &[]));
            to.write_all(run)?;
            let Some((&byte, rest)) = rest.split_first() else { break };
            self.write_char_escape(to, escape(byte))?;
            string = rest;
        }
        self.end_string(to)
    }
}

fn escape(byte: u8) -> CharEscape {
    match byte {
        b'"' => CharEscape::Quote,
        b'\\' => CharEscape::ReverseSolidus,
        b'\n' => CharEscape::LineFeed,
        b'\r' => CharEscape::CarriageReturn,
        b'\t' => CharEscape::Tab,
        0x08 => CharEscape::Backspace,
        0x0C => CharEscape::FormFeed,
        byte => CharEscape::AsciiControl(byte),
    }
}

/// serde_json's serializer, its parts, and the values that it is given, with strings as bytes.
struct Json<S>(S);

impl<T: Serialize + ?Sized> Serialize for Json<&T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Json(serializer))
    }
}

/// Hands on what it is given.
macro_rules! as_it_is {
    ($($method:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(
            #[inline]
            fn $method(self, $($argument: $type),*) -> Result<$result, S::Error> {
                self.0.$method($($argument),*)
            }
        )*
    };
}

/// Hands it on, for parts to come.
macro_rules! in_parts {
    ($($method:ident($($argument:ident: $type:ty),*) -> $parts:ident;)*) => {
        $(
            type $parts = Json<S::$parts>;

            #[inline]
            fn $method(self, $($argument: $type),*) -> Result<Self::$parts, S::Error> {
                self.0.$method($($argument),*).map(Json)
            }
        )*
    };
}

impl<S: Serializer> Serializer for Json<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    #[inline]
    fn serialize_str(self, string: &str) -> Result<S::Ok, S::Error> {
        self.0.serialize_bytes(string.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        self.0.collect_seq(bytes)
    }

    as_it_is! {
        serialize_bool(value: bool) -> S::Ok;
        serialize_i8(value: i8) -> S::Ok;
        serialize_i16(value: i16) -> S::Ok;
        serialize_i32(value: i32) -> S::Ok;
        serialize_i64(value: i64) -> S::Ok;
        serialize_i128(value: i128) -> S::Ok;
        serialize_u8(value: u8) -> S::Ok;
        serialize_u16(value: u16) -> S::Ok;
        serialize_u32(value: u32) -> S::Ok;
        serialize_u64(value: u64) -> S::Ok;
        serialize_u128(value: u128) -> S::Ok;
        serialize_f32(value: f32) -> S::Ok;
        serialize_f64(value: f64) -> S::Ok;
        serialize_char(value: char) -> S::Ok;
        serialize_none() -> S::Ok;
        serialize_unit() -> S::Ok;
        serialize_unit_struct(name: &'static str) -> S::Ok;
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> S::Ok;
    }

    in_parts! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant;
    }

    #[inline]
    fn serialize_some<T>(self, value: &T) -> Result<S::Ok, S::Error>
    where
        T: Serialize + ?Sized,
    {
        self.0.serialize_some(&Json(value))
    }

    #[inline]
    fn serialize_newtype_struct<T>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error>
    where
        T: Serialize + ?Sized,
    {
        self.0.serialize_newtype_struct(name, &Json(value))
    }

    #[inline]
    fn serialize_newtype_variant<T>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error>
    where
        T: Serialize + ?Sized,
    {
        self.0.serialize_newtype_variant(name, index, variant, &Json(value))
    }

    fn collect_str<T>(self, value: &T) -> Result<S::Ok, S::Error>
    where
        T: Display + ?Sized,
    {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Parts without names.
macro_rules! elements {
    ($($parts:ident::$method:ident)*) => {
        $(
            impl<S: ser::$parts> ser::$parts for Json<S> {
                type Ok = S::Ok;
                type Error = S::Error;

                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                    self.0.$method(&Json(value))
                }

                #[inline]
                fn end(self) -> Result<S::Ok, S::Error> {
                    self.0.end()
                }
            }
        )*
    };
}

elements! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

/// Parts with names.
macro_rules! fields {
    ($($parts:ident)*) => {
        $(
            impl<S: ser::$parts> ser::$parts for Json<S> {
                type Ok = S::Ok;
                type Error = S::Error;

                #[inline]
                fn serialize_field<T>(&mut self, name: &'static str, value: &T) -> Result<(), S::Error>
                where
                    T: Serialize + ?Sized,
                {
                    // serde_json's own: text that is JSON already, or a number.
                    if name.starts_with("$serde_json::") {
                        return self.0.serialize_field(name, value);
                    }
                    self.0.serialize_field(name, &Json(value))
                }

                #[inline]
                fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
                    self.0.skip_field(name)
                }

                #[inline]
                fn end(self) -> Result<S::Ok, S::Error> {
                    self.0.end()
                }
            }
        )*
    };
}

fields! { SerializeStruct SerializeStructVariant }

impl<S: ser::SerializeMap> ser::SerializeMap for Json<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    // A name is written by serde_json, which turns numbers into strings for it.
    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), S::Error> {
        self.0.serialize_key(name)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Json(value))
    }

    #[inline]
    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}
