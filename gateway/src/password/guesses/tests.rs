//! Who has to wait, and who does not.

use super::*;

fn attempt(user: &str, address: &str) -> Attempt {
    Attempt::new(user, address.parse().unwrap())
}

/// Tries wrong passwords in a row, one each `pause`, as long as `time`; says how many were looked at.
fn burst(guesses: &mut Guesses, mut start: Instant, time: Duration, next: impl Fn(usize) -> Attempt) -> usize {
    let (end, pause) = (start + time, Duration::from_millis(10));
    let mut looked_at = 0;
    for number in 0.. {
        if start >= end {
            break;
        }
        let attempt = next(number);
        if !guesses.holds_off_guess(&attempt, start) {
            looked_at += 1;
            guesses.wrong(&attempt, start);
        }
        start += pause;
    }
    looked_at
}

#[test]
fn of_a_burst_of_wrong_passwords_few_are_looked_at_whatever_names_and_addresses_they_come_by() {
    let second = Duration::from_secs(1);
    let (start, long) = (Instant::now(), 10 * second);
    let one = |_| attempt("anna", "10.0.0.1");
    assert!(burst(&mut Guesses::default(), start, long, one) <= 9);
    let names = |number: usize| attempt(&format!("user {number}"), "10.0.0.1");
    assert!(burst(&mut Guesses::default(), start, long, names) <= 9, "by the address");
    let addresses = |number: usize| attempt("anna", &format!("10.0.{}.{}", number / 250, number % 250));
    assert!(burst(&mut Guesses::default(), start, long, addresses) <= 9, "by the name");
    let v6 = |number: usize| attempt(&format!("user {number}"), &format!("2001:db8::{number:x}"));
    assert!(burst(&mut Guesses::default(), start, long, v6) <= 9, "by the network");
    // And over a day it stays at what the longest waits allow.
    let mut guesses = Guesses::default();
    let day = burst(&mut guesses, start, Duration::from_secs(24 * 3600), one);
    assert!(day < 24 * 60 + 10, "{day}");
}

#[test]
fn a_pair_that_was_right_before_waits_for_its_own_wrong_passwords_alone() {
    let mut guesses = Guesses::default();
    let now = Instant::now();
    let home = attempt("anna", "10.0.0.1");
    guesses.right(&home, now);
    let minute = Duration::from_secs(60);
    // Strangers try her name from elsewhere, and others at her address their own.
    burst(&mut guesses, now, minute, |number| attempt("anna", &format!("10.1.{}.1", number % 250)));
    burst(&mut guesses, now, minute, |number| attempt(&format!("user {number}"), "10.0.0.1"));
    let later = now + minute;
    assert!(!guesses.holds_off_guess(&home, later));
    assert!(guesses.holds_off(&attempt("bert", "10.0.0.1"), later), "a stranger at her address waits");
    // Elsewhere she waits for a few seconds at most.
    assert!(!guesses.holds_off_guess(&attempt("anna", "10.9.9.9"), later + Duration::from_secs(5)));
    assert!(!guesses.holds_off(&attempt("anna", "10.9.9.9"), later), "nor at all with a password that is known");
    // Her own wrong ones do count, and a right one ends that.
    burst(&mut guesses, later, Duration::from_secs(1), |_| home.clone());
    assert!(guesses.holds_off(&home, later + Duration::from_millis(990)));
    guesses.right(&home, later + minute);
    assert!(!guesses.holds_off(&home, later + minute));
    // A device with an old password, that has her name and her address, holds her other devices up for seconds only.
    let looked_at = burst(&mut guesses, later + minute, minute, |_| home.clone());
    assert!((15..=20).contains(&looked_at), "{looked_at}");
    assert!(!guesses.holds_off(&home, later + 2 * minute + LONGEST_KNOWN));
}

#[test]
fn a_right_password_that_cost_no_hash_does_not_make_the_wrong_ones_forgotten() {
    let mut guesses = Guesses::default();
    let now = Instant::now();
    let anna = attempt("anna", "10.0.0.1");
    guesses.right(&anna, now);
    for _ in 0..FREE {
        guesses.wrong(&anna, now);
        guesses.right_again(&anna, now);
    }
    assert!(guesses.holds_off(&anna, now));
    guesses.right(&anna, now + FIRST);
    guesses.wrong(&anna, now + FIRST);
    assert!(!guesses.holds_off(&anna, now + FIRST));
}

#[test]
fn old_wrong_passwords_are_forgotten() {
    let mut guesses = Guesses::default();
    let now = Instant::now();
    let anna = attempt("anna", "10.0.0.1");
    (0..5).for_each(|_| guesses.wrong(&anna, now));
    assert!(guesses.holds_off(&anna, now) && !guesses.holds_off(&anna, now + FIRST));
    guesses.wrong(&anna, now + 2 * FORGET);
    assert!(!guesses.holds_off(&anna, now + 2 * FORGET));
}

#[test]
fn the_tables_stay_bounded_and_names_of_any_length_do() {
    let mut guesses = Guesses::default();
    let now = Instant::now();
    let long = "ä".repeat(5000);
    for number in 0..2 * ENTRIES {
        let attempt = attempt(&format!("{number} {long}"), "10.0.0.1");
        guesses.wrong(&attempt, now + Duration::from_millis(number as u64));
        guesses.right(&attempt, now);
    }
    assert!(guesses.counts.len() <= ENTRIES && guesses.known.len() <= ENTRIES);
    assert!(guesses.known.keys().all(|(name, _)| name.len() <= NAME_BYTES));
    assert!(guesses.holds_off(&attempt("x", "10.0.0.1"), now + Duration::from_secs(10)), "the newest are kept");
}
