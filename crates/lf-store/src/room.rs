//! Room in long arrays: they hold millions of records, so moving one takes tens of milliseconds. Whoever has readers makes
//! the copy beside them and only puts it in its place alone.
//!
//! What the arrays hold is not known here.

/// The least that an array grows by, in elements.
const GROWTH_MIN: usize = 64;

/// What an array of this length grows by: an eighth, where `Vec` would double it.
fn growth(len: usize) -> usize {
    (len / 8).max(GROWTH_MIN)
}

/// Pushes; moves the array if it is full.
pub(crate) fn push_tight<T>(array: &mut Vec<T>, value: T) {
    if array.len() == array.capacity() {
        array.reserve_exact(growth(array.len()));
    }
    array.push(value);
}

/// Appends; moves the array if it is full.
pub(crate) fn extend_tight<T: Copy>(array: &mut Vec<T>, values: &[T]) {
    if !has_room(array, values.len()) {
        array.reserve_exact(growth(array.len()).max(values.len()));
    }
    array.extend_from_slice(values);
}

/// Whether `more` elements fit without moving the array.
pub(crate) fn has_room<T>(array: &Vec<T>, more: usize) -> bool {
    array.capacity() - array.len() >= more
}

/// A copy with room for `more` elements; nothing if the array has that.
pub(crate) fn roomier<T: Clone>(array: &Vec<T>, more: usize) -> Option<Vec<T>> {
    if has_room(array, more) {
        return None;
    }
    let mut copy = Vec::with_capacity(array.len() + growth(array.len()).max(more));
    copy.extend_from_slice(array);
    Some(copy)
}

/// Puts an array's roomier copy in its place, and the array where the copy was: to be freed when nobody waits. The array has
/// not changed since.
pub(crate) fn trade<T>(array: &mut Vec<T>, copy: &mut Option<Vec<T>>) {
    if let Some(copy) = copy.as_mut().filter(|copy| copy.len() == array.len()) {
        std::mem::swap(array, copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_array_is_copied_with_an_eighth_more_and_only_then() {
        let mut array: Vec<u32> = Vec::new();
        for n in 0..10_000 {
            let before = array.capacity();
            let mut copy = roomier(&array, 1);
            assert_eq!(copy.is_some(), array.len() == before, "{n}");
            if let Some(copy) = &copy {
                assert_eq!(copy, &array);
                assert!(
                    copy.capacity() > array.len() && copy.capacity() <= array.len() + array.len() / 8 + 64
                );
            }
            trade(&mut array, &mut copy);
            let room = array.capacity();
            push_tight(&mut array, n);
            assert_eq!(array.capacity(), room, "it was not moved again");
        }
        assert!(array.iter().copied().eq(0..10_000));
    }

    #[test]
    fn a_copy_of_what_has_changed_meanwhile_is_not_taken() {
        let mut array = vec![1, 2].into_boxed_slice().into_vec();
        let mut copy = roomier(&array, 3);
        extend_tight(&mut array, &[3, 4, 5]);
        trade(&mut array, &mut copy);
        assert_eq!(array, [1, 2, 3, 4, 5]);
    }
}
