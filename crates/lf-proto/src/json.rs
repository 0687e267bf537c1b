//! Reading JSON as the API does: member names without regard to letter case, unknown ones ignored.
//!
//! serde matches names exactly, so a thin deserializer stands in between: where a struct is wanted it gives each member
//! the spelling that the struct declares.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Error, Map, Value};

/// Reads one JSON text; `null` is an empty object. What follows the first value is ignored, as the reference does.
///
/// # Errors
/// Not JSON, or a member of a wrong type.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    match values.next() {
        Some(value) => from_value(value?),
        None => serde_json::from_slice(text),
    }
}

/// As [`from_slice`], but nothing may follow the value.
///
/// # Errors
/// Not JSON, or a member of a wrong type, or anything after it.
pub fn from_slice_exact<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    from_value(serde_json::from_slice(text)?)
}

/// As [`from_slice`], from a parsed value.
///
/// # Errors
/// A member of a wrong type.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    match value {
        Value::Null => T::deserialize(AnyCase(Value::Object(Map::new()))),
        other => T::deserialize(AnyCase(other)),
    }
}

/// Reads a member that may be `null`, which is its default.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A JSON value whose structs' member names are matched without regard to letter case.
struct AnyCase(Value);

impl IntoDeserializer<'_, Error> for AnyCase {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for AnyCase {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut seq = SeqDeserializer::new(items.into_iter().map(AnyCase));
                let value = visitor.visit_seq(&mut seq)?;
                seq.end()?;
                Ok(value)
            }
            Value::Object(members) => {
                visitor.visit_map(MapDeserializer::new(members.into_iter().map(|(k, v)| (k, AnyCase(v)))))
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let members = match self.0 {
            Value::Object(members) => members,
            // serde would read an array as a struct's members in order.
            Value::Array(_) => return Err(serde::de::Error::invalid_type(Unexpected::Seq, &visitor)),
            scalar => return scalar.deserialize_any(visitor),
        };
        // Of names equal but for case, the last wins, as with any repeated name.
        let mut named: Map<String, Value> = Map::new();
        for (name, value) in members {
            let declared = fields.iter().find(|f| f.eq_ignore_ascii_case(&name));
            named.insert(declared.map_or(name, |f| (*f).to_owned()), value);
        }
        AnyCase(Value::Object(named)).deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, PartialEq, Default, serde::Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Outer {
        two_words: u64,
        list: Vec<Outer>,
        maybe: Option<f64>,
    }

    #[test]
    fn names_match_in_any_case() {
        let text =
            br#"{"twoWORDS": 18446744073709551615, "LIST": [{"TWOWORDS": 1, "x": {}}], "maybe": 2} trailing"#;
        let read: Outer = from_slice(text).unwrap();
        assert_eq!(read.two_words, u64::MAX);
        assert_eq!(read.list[0].two_words, 1);
        assert_eq!(read.maybe, Some(2.0));
        assert_eq!(from_slice::<Outer>(b"null").unwrap(), Outer::default());
        assert!(from_slice_exact::<Outer>(text).is_err());
        assert!(from_slice::<Outer>(b"[]").is_err());
        assert!(from_slice::<Outer>(b"").is_err());
        assert!(from_slice::<Outer>(br#"{"TwoWords": -1}"#).is_err());
    }
}
