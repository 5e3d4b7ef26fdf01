//! A JSON serializer that writes strings and structure by itself, and all else by serde_json.
//!
//! serde_json searches a string for characters to escape byte by byte, which takes more than half of
//! the time of sending (BENCHMARKS.md). The scanner of messages searches many bytes at a time. A test
//! and a fuzz target compare the output with serde_json's.

use alloc::vec::Vec;
use core::fmt::Display;
use core::mem;
use std::io::{self, Write};

use serde::ser::{self, Serialize, Serializer};
use serde_json::Error;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

use crate::message::unescaped_len;

/// Appends a value to `to`.
///
/// # Errors
///
/// If its `Serialize` fails; then a part of the value may be appended.
pub(crate) fn write<T>(value: &T, to: &mut Vec<u8>) -> Result<(), Error>
where
    T: Serialize + ?Sized,
{
    value.serialize(Json(to))
}

fn write_string(string: &str, to: &mut Vec<u8>) {
    let string = string.as_bytes();
    to.reserve(string.len() + 2);
    to.push(b'"');
    if unescaped_len(string) == string.len() {
        to.extend_from_slice(string);
    } else {
        write_escaped(string, to);
    }
    to.push(b'"');
}

#[cold]
fn write_escaped(mut string: &[u8], to: &mut Vec<u8>) {
    loop {
        let (run, rest) = string.split_at_checked(unescaped_len(string)).unwrap_or((string, &[]));
        to.extend_from_slice(run);
        let Some((&byte, rest)) = rest.split_first() else { return };
        // Writing to memory can't fail.
        let _ = CompactFormatter.write_char_escape(to, escape(byte));
        string = rest;
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

/// Writes one value.
struct Json<'a>(&'a mut Vec<u8>);

impl<'a> Json<'a> {
    #[inline]
    fn parts(self, begin: u8, end: &'static [u8]) -> Result<Parts<'a>, Error> {
        self.0.push(begin);
        Ok(Parts { to: self.0, is_first: true, end })
    }

    /// Begins the object of a variant; the caller writes the value and ends the object.
    fn variant(self, variant: &str) -> Self {
        self.0.push(b'{');
        write_string(variant, self.0);
        self.0.push(b':');
        self
    }
}

/// Methods that serde_json implements.
macro_rules! by_serde_json {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            #[inline]
            fn $method(self, $($argument: $type),*) -> Result<(), Error> {
                serde_json::Serializer::new(self.0).$method($($argument),*)
            }
        )*
    };
}

impl<'a> Serializer for Json<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    by_serde_json! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
    }

    #[inline]
    fn serialize_str(self, string: &str) -> Result<(), Error> {
        write_string(string, self.0);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        serde_json::Serializer::new(self.0).collect_str(value)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Json(to) = self.variant(variant);
        value.serialize(Json(to))?;
        to.push(b'}');
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        self.parts(b'[', b"]")
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        self.serialize_seq(None)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        self.variant(variant).parts(b'[', b"]}")
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        self.parts(b'{', b"}")
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Parts<'a>, Error> {
        // serde_json's own types: text that is JSON already, or a number. The one field is the value.
        if length == 1 && name.starts_with("$serde_json::") {
            return Ok(Parts { to: self.0, is_first: true, end: b"" });
        }
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        self.variant(variant).parts(b'{', b"}}")
    }
}

/// Writes elements or members, and the end of their array or object.
struct Parts<'a> {
    to: &'a mut Vec<u8>,
    is_first: bool,
    /// Empty for serde_json's own types.
    end: &'static [u8],
}

impl Parts<'_> {
    #[inline]
    fn next(&mut self) {
        if !mem::take(&mut self.is_first) {
            self.to.push(b',');
        }
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next();
        value.serialize(Json(self.to))
    }

    #[inline]
    fn member<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if self.end.is_empty() {
            return self.serde_json(name, value);
        }
        self.next();
        write_string(name, self.to);
        self.to.push(b':');
        value.serialize(Json(self.to))
    }

    /// The one field of serde_json's own types. (Apart, so that the rest is inlined.)
    #[inline(never)]
    fn serde_json<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut serializer = serde_json::Serializer::new(&mut *self.to);
        let mut own = serializer.serialize_struct(name, 1)?;
        ser::SerializeStruct::serialize_field(&mut own, name, value)?;
        ser::SerializeStruct::end(own)
    }

    #[inline]
    fn finish(self) -> Result<(), Error> {
        // One by one: a copy of two bytes takes longer.
        self.end.iter().for_each(|byte| self.to.push(*byte));
        Ok(())
    }
}

/// Parts of arrays.
macro_rules! elements {
    ($($parts:ident::$method:ident)*) => {
        $(
            impl ser::$parts for Parts<'_> {
                type Ok = ();
                type Error = Error;

                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                    self.element(value)
                }

                #[inline]
                fn end(self) -> Result<(), Error> {
                    self.finish()
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

/// Parts of structs.
macro_rules! members {
    ($($parts:ident)*) => {
        $(
            impl ser::$parts for Parts<'_> {
                type Ok = ();
                type Error = Error;

                #[inline]
                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    name: &'static str,
                    value: &T,
                ) -> Result<(), Error> {
                    self.member(name, value)
                }

                #[inline]
                fn end(self) -> Result<(), Error> {
                    self.finish()
                }
            }
        )*
    };
}

members! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    // By serde_json, which defines the types of names, and turns numbers into strings.
    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Error> {
        self.next();
        let mut serializer = serde_json::Serializer::with_formatter(&mut *self.to, Name);
        ser::SerializeMap::serialize_key(&mut serializer.serialize_map(None)?, name)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.to.push(b':');
        value.serialize(Json(self.to))
    }

    #[inline]
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

/// A formatter that writes an object's first name, without the object's brace.
struct Name;

impl Formatter for Name {
    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        Ok(())
    }
}
