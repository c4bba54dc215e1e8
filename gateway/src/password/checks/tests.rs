//! Checks side by side: how many are hashed, who waits, what is remembered.

use super::*;

fn hashed(passwords: &Passwords) -> u64 {
    passwords.counts.all().find(|(how, _)| *how == "hashed").unwrap().1
}

fn hash(password: &str) -> Hash {
    Hash::of(password).unwrap()
}

fn checks() -> Passwords {
    Passwords::new(Permit::default(), Arc::default())
}

fn asked<'a>(user: &'a str, hash: Option<&'a Hash>, password: &'a [u8]) -> Asked<'a> {
    Asked { user, proof: hash.map(Proof::Hash), password, address: "10.0.0.1".parse().unwrap() }
}

/// Far away.
fn later() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(60)
}

fn busy(passwords: &Passwords) -> u64 {
    passwords.counts.all().find(|(how, _)| *how == "busy").unwrap().1
}

#[tokio::test]
async fn one_user_can_neither_wash_wrong_passwords_away_nor_have_them_hashed_without_end() {
    let passwords = checks();
    let anna = hash("s3cret");
    let (right, wrong) = (asked("anna", Some(&anna), b"s3cret"), asked("anna", Some(&anna), b"wrong"));
    for _ in 0..5 {
        assert_eq!(passwords.check(&right, later()).await, Verdict::Right);
        assert_eq!(passwords.check(&wrong, later()).await, Verdict::Wrong);
    }
    assert_eq!(passwords.check(&wrong, later()).await, Verdict::HeldBack);
    assert_eq!(hashed(&passwords), 6);
}

#[tokio::test]
async fn one_address_takes_a_few_places_only_and_others_come_in() {
    let passwords = Arc::new(checks());
    let permit = Arc::clone(&passwords.permit.0).acquire_owned().await.unwrap();
    let check = |address: &'static str| {
        let passwords = Arc::clone(&passwords);
        tokio::spawn(async move {
            let anna = hash("s3cret");
            let address = address.parse().unwrap();
            passwords.check(&Asked { address, ..asked("anna", Some(&anna), b"s3cret") }, later()).await
        })
    };
    // All of one network.
    let many: Vec<_> = (0..10).map(|n| check(["2001:db8::1", "2001:db8::2"][n % 2])).collect();
    while busy(&passwords) < 10 - WAITING_OF_ADDRESS as u64 {
        tokio::task::yield_now().await;
    }
    let other = check("10.0.0.2");
    drop(permit);
    assert_eq!(other.await.unwrap(), Verdict::Right);
    let mut verdicts = Vec::new();
    for check in many {
        verdicts.push(check.await.unwrap());
    }
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Right).count(), WAITING_OF_ADDRESS);
    assert!(passwords.lock().waiting.is_empty());
}

#[tokio::test]
async fn a_password_that_was_right_is_not_hashed_again_until_the_user_has_another_hash() {
    let passwords = checks();
    let anna = hash("s3cret");
    let right = asked("anna", Some(&anna), b"s3cret");
    for _ in 0..3 {
        assert_eq!(passwords.check(&right, later()).await, Verdict::Right);
    }
    assert_eq!(hashed(&passwords), 1);
    assert_eq!(passwords.check(&asked("anna", Some(&anna), b"s3creT"), later()).await, Verdict::Wrong);
    assert_eq!(hashed(&passwords), 2);
    // Remembered or not, an old password does not pass as the new one; the same one under a new hash is hashed once.
    let changed = hash("changed");
    assert_eq!(passwords.check(&asked("anna", Some(&changed), b"s3cret"), later()).await, Verdict::Wrong);
    assert_eq!(passwords.check(&asked("anna", None, b"s3cret"), later()).await, Verdict::Wrong);
    assert_eq!(hashed(&passwords), 4);
    let again = hash("s3cret");
    for _ in 0..2 {
        assert_eq!(passwords.check(&asked("anna", Some(&again), b"s3cret"), later()).await, Verdict::Right);
    }
    assert_eq!(hashed(&passwords), 5);
}

#[tokio::test]
async fn a_name_that_nobody_has_costs_a_hash_and_so_does_a_wrong_password_of_the_settings() {
    let passwords = checks();
    let plain = |password| Asked { proof: Some(Proof::Plain("s3cret")), ..asked("plain", None, password) };
    assert_eq!(passwords.check(&plain(b"s3cret"), later()).await, Verdict::Right);
    assert_eq!(hashed(&passwords), 0);
    assert_eq!(passwords.check(&plain(b"wrong"), later()).await, Verdict::Wrong);
    assert_eq!(passwords.check(&asked("nobody", None, b"wrong"), later()).await, Verdict::Wrong);
    assert_eq!(hashed(&passwords), 2);
    assert_eq!(passwords.check(&asked("nobody", None, b""), later()).await, Verdict::Wrong);
    assert_eq!(hashed(&passwords), 2, "no password is no guess");
}

#[tokio::test]
async fn a_password_that_is_not_utf8_is_wrong_even_where_its_hash_fits() {
    let hash = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$PGPklg5Q+jAKrAfTH/z2sw";
    let hash = Hash::parse(hash).unwrap();
    assert!(hash.verify(b"\xff\xfe"), "it is the hash of these bytes");
    assert!(!verify(Some(&hash), b"\xff\xfe"));
    assert!(!verify(None, b"\xff\xfe"));
}

#[tokio::test]
async fn who_waits_for_longer_than_a_client_may_is_sent_away_and_gives_his_place_back() {
    let passwords = checks();
    let _permit = Arc::clone(&passwords.permit.0).acquire_owned().await.unwrap();
    let verdict = passwords.check(&asked("anna", None, b"x"), tokio::time::Instant::now()).await;
    assert_eq!((verdict, busy(&passwords), hashed(&passwords)), (Verdict::Busy, 1, 0));
    assert!(passwords.lock().waiting.is_empty());
}

#[tokio::test]
async fn of_many_at_once_few_are_hashed_and_more_than_can_wait_are_sent_away() {
    let passwords = Arc::new(checks());
    // Nobody is checked as long as the test has the permit.
    let permit = Arc::clone(&passwords.permit.0).acquire_owned().await.unwrap();
    let checks: Vec<_> = (0..100)
        .map(|number| {
            let passwords = Arc::clone(&passwords);
            tokio::spawn(async move {
                // As many of each address as may wait.
                let address = IpAddr::from([10, 0, 0, (number / WAITING_OF_ADDRESS) as u8]);
                let password = format!("{number}");
                passwords.check(&Asked { address, ..asked("anna", None, password.as_bytes()) }, later()).await
            })
        })
        .collect();
    while busy(&passwords) < 100 - WAITING as u64 {
        tokio::task::yield_now().await;
    }
    drop(permit);
    let mut verdicts = Vec::new();
    for check in checks {
        verdicts.push(check.await.unwrap());
    }
    let count = |verdict| verdicts.iter().filter(|v| **v == verdict).count();
    assert_eq!(count(Verdict::Busy), 100 - WAITING);
    assert!((5..=10).contains(&count(Verdict::Wrong)) && count(Verdict::Wrong) as u64 == hashed(&passwords));
    assert_eq!(count(Verdict::HeldBack), WAITING - count(Verdict::Wrong));
    assert!(passwords.lock().waiting.is_empty());
}
