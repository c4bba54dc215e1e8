//! "Did you mean": the known word nearest to a mistyped one.

/// Longer words than this are not compared; the cost grows with the product of lengths.
const COMPARED_MAX_CHARACTERS: usize = 64;

/// The word of `known` nearest to `word`, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().replace('_', "-").chars().take(COMPARED_MAX_CHARACTERS + 1).collect();
    if word.len() > COMPARED_MAX_CHARACTERS {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be added, removed, replaced or swapped with their neighbour (optimal string alignment).
fn distance(word: &[char], other: &str) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=word.len()).collect();
    let mut previous = None;
    for (count, character) in other.chars().enumerate() {
        let mut next = vec![count + 1];
        for (index, mine) in word.iter().enumerate() {
            // Absent cells lie outside the table and are never the cheapest way.
            let cell = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut cost = cell(&row, index) + usize::from(*mine != character);
            cost = cost.min(cell(&next, index) + 1).min(cell(&row, index + 1) + 1);
            let left = index.checked_sub(1);
            let swapped = previous == Some(*mine) && left.and_then(|left| word.get(left)) == Some(&character);
            if let (true, Some(left)) = (swapped, left) {
                cost = cost.min(cell(&before, left) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(character);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["baud", "data-bits", "name", "max-connections"];

    #[test]
    fn the_nearest_known_word_is_found() {
        assert_eq!(nearest("bauds", KNOWN), Some("baud"));
        assert_eq!(nearest("max_connections", KNOWN), Some("max-connections"));
        assert_eq!(nearest("DATABITS", KNOWN), Some("data-bits"));
        assert_eq!(nearest("nmae", KNOWN), Some("name"));
    }

    #[test]
    fn what_is_far_from_all_gets_no_suggestion() {
        assert_eq!(nearest("colour", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
        assert_eq!(nearest(&"x".repeat(1000), KNOWN), None);
    }

    #[test]
    fn the_distance_counts_single_changes() {
        let letters: Vec<char> = "kitten".chars().collect();
        assert_eq!(distance(&letters, "sitting"), 3);
        assert_eq!(distance(&letters, "iktten"), 1);
        assert_eq!(distance(&[], "abc"), 3);
        assert_eq!(distance(&letters, ""), 6);
    }
}
