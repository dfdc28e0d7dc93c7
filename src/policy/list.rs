//! Lists of names in messages: the first ones, and how many more there are.

/// Names in quotes, of `count` in all.
pub(super) fn quoted<T: AsRef<str>>(names: &[T], count: usize) -> String {
    let quoted: Vec<_> = names.iter().map(|it| format!("{:?}", it.as_ref())).collect();
    of(&quoted, count)
}

/// Names as they are, of `count` in all.
pub(super) fn of<T: AsRef<str>>(names: &[T], count: usize) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    let listed = names.join(", ");
    match count.saturating_sub(names.len()) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}
