use super::*;
use crate::data::{SPLIT_SEED, SearchSplit, SplitRule, Subset};

fn indices(subset: &Subset) -> Vec<u32> {
    subset.indices.to_vec()
}

#[test]
fn halves_are_disjoint_complete_and_balanced() {
    let set = plain(101, 0, 8, 7);
    let split = SearchSplit::new(&set, SplitRule::Halves, SPLIT_SEED).unwrap();
    let mut all = [indices(&split.weights), indices(&split.alpha)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..101).collect::<Vec<_>>());
    assert!(split.weights.len().abs_diff(split.alpha.len()) <= 1);
    for class in 0..7 {
        let count = |subset: &Subset| subset.indices.iter().filter(|&&i| i % 7 == class).count();
        assert!(count(&split.weights).abs_diff(count(&split.alpha)) <= 1, "class {class}");
    }
    assert!(split.test.is_none());
}

#[test]
fn the_split_of_cifar_10_is_fixed() {
    let set = plain(50_000, 0, 8, 10);
    let split = SearchSplit::new(&set, SplitRule::Halves, SPLIT_SEED).unwrap();
    assert_eq!((split.weights.len(), split.alpha.len()), (25_000, 25_000));
    // Changing this changes which images every search sees: results before and after cannot be compared.
    let digest = blake3::hash(&split.weights.indices.iter().flat_map(|i| i.to_le_bytes()).collect::<Vec<u8>>());
    insta::assert_snapshot!(digest.to_hex().get(..16).unwrap(), @"3cf53d0204fa7cc5");
    let other = SearchSplit::new(&set, SplitRule::Halves, 1).unwrap();
    assert_ne!(indices(&split.weights), indices(&other.weights));
}

#[test]
fn the_test_half_rule_keeps_the_other_half_for_testing() {
    let set = plain(30, 20, 8, 2);
    let split = SearchSplit::new(&set, SplitRule::TestHalf, SPLIT_SEED).unwrap();
    assert_eq!(indices(&split.weights), (0..30).collect::<Vec<_>>());
    let test = split.test.unwrap();
    let mut all = [indices(&split.alpha), indices(&test)].concat();
    all.sort_unstable();
    assert_eq!((split.alpha.len(), all), (10, (0..20).collect::<Vec<_>>()));
    assert!(Arc::ptr_eq(&split.alpha.images, set.test.as_ref().unwrap()));
    let none = SearchSplit::new(&plain(30, 0, 8, 2), SplitRule::TestHalf, 0).unwrap_err();
    insta::assert_snapshot!(none, @"plain has no test images, half of which would teach alpha; use the halves of the training images");
    let small = SearchSplit::new(&plain(1, 0, 8, 2), SplitRule::Halves, 0).unwrap_err();
    insta::assert_snapshot!(small, @"plain has too few images to divide for a search");
}

/// Whatever is held out, a name stays with its image.
#[test]
fn files_stay_with_their_images() {
    let mut set = plain(30, 0, 8, 2);
    set.files.train = (0..30).map(|i| format!("{i}.png")).collect();
    let held = set.hold_out(0.2);
    let test = held.test.as_ref().unwrap();
    for (images, files) in [(&held.train, &held.files.train), (test, &held.files.test)] {
        let expected: Vec<String> = (0..images.len()).map(|i| format!("{}.png", images.image(i)[0])).collect();
        assert_eq!(files.to_vec(), expected);
    }
}
