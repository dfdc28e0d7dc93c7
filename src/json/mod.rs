//! Reads objects out of JSON: borrowed, only the fields that matter, and from nothing but an object.

mod bounded;
mod reader;
mod text;

pub(crate) use bounded::{Bounded, Entry, within_bounds};
pub(crate) use reader::read;
pub use text::Str;

/// Declares structs of optional fields, each with its key.
///
/// Unlike serde's derive it does not take a list for an object, it lets `null`
/// stand for a field that is left out (as Kubernetes does), and its errors
/// speak of objects instead of our types. A key that is there twice is an
/// error; an unknown one is skipped unread.
macro_rules! objects {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<'a> {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident ($key:literal): $type:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $name<'a> {
            $($(#[$field_meta])* $field_vis $field: Option<$type>,)*
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor<'a>(std::marker::PhantomData<&'a ()>);

                impl<'de: 'a, 'a> serde::de::Visitor<'de> for ObjectVisitor<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        $(let mut $field: Option<Option<$type>> = None;)*
                        while let Some(key) = map.next_key::<$crate::json::Str<'de>>()? {
                            match &*key {
                                $($key => {
                                    if $field.is_some() {
                                        return Err(serde::de::Error::duplicate_field($key));
                                    }
                                    $field = Some(map.next_value()?);
                                })*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name { $($field: $field.flatten(),)* })
                    }
                }

                deserializer.deserialize_map(ObjectVisitor(std::marker::PhantomData))
            }
        }
    )*};
}

pub(crate) use objects;

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for u32 {}

    impl<T: Entry> Entry for Bounded<T> {
        fn entries(&self) -> usize {
            1 + self.iter().map(Entry::entries).sum::<usize>()
        }
    }

    objects! {
        struct Point<'a> {
            x("x"): u32,
            name("pointName"): Str<'a>,
            inner("inner"): Box<Point<'a>>,
        }
    }

    fn read(json: &str) -> Result<Point<'_>, String> {
        serde_json::from_str(json).map_err(|it| it.to_string())
    }

    #[test]
    fn null_is_a_field_left_out_and_what_is_unknown_is_skipped() {
        let point = read(r#"{"x": null, "y": [{}], "pointName": "here"}"#).unwrap();
        assert_eq!((point.x, point.name.as_deref()), (None, Some("here")));
        assert!(point.inner.is_none());
    }

    #[test]
    fn a_list_is_read_as_far_as_it_is_not_too_long() {
        let read = |json: &str| serde_json::from_str::<Bounded<u32>>(json).map(|it| it.len());
        let list = |count: usize| format!("[{}]", vec!["7"; count].join(","));
        assert_eq!(read(&list(4096)).unwrap(), 4096);
        // What comes after is no JSON at all.
        let error = read(&list(4097).replace(']', ",!")).unwrap_err().to_string();
        assert!(error.starts_with("it has more than 4096 entries at line 1"), "{error}");
        let nested = format!("[{}]", vec![list(999); 4].join(","));
        assert_eq!(serde_json::from_str::<Bounded<Bounded<u32>>>(&nested).unwrap().len(), 4);
        let nested = format!("[{}]", vec![list(1999); 3].join(","));
        let error = serde_json::from_str::<Bounded<Bounded<u32>>>(&nested).unwrap_err();
        assert!(error.to_string().starts_with("it has more than 4096 entries"), "{error}");
    }

    #[test]
    fn only_an_object_is_an_object() {
        let error = read(r#"{"inner": [1, "here"]}"#).unwrap_err();
        assert!(error.starts_with("invalid type: sequence, expected an object"), "{error}");
        assert!(read("null").is_err());
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error() {
        let error = read(r#"{"x": 1, "x": 2}"#).unwrap_err();
        assert!(error.starts_with("duplicate field `x`"), "{error}");
    }
}
