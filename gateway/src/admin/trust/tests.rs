//! People, sessions, tokens and the first start together, with a real file.

use super::*;
use crate::password::grouped;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "several plain words";

fn trust(dir: &Path) -> Arc<Trust> {
    Arc::new(Trust::open(dir, Permit::default(), None))
}

async fn set_up(trust: &Arc<Trust>) -> Opened {
    let code = grouped(&trust.setup_code().unwrap());
    trust.set_up(&code, ("anna", PASSWORD), ADDRESS).await.unwrap()
}

fn role_of(trust: &Trust, opened: &Opened) -> Option<Role> {
    trust.by_cookie(&opened.secret, true).role()
}

#[tokio::test]
async fn the_first_admin_comes_by_the_code_and_nobody_after_him() {
    let dir = tempfile::tempdir().unwrap();
    let trust = trust(dir.path());
    let wrong = trust.set_up("aaaa-aaaa-aaaa", ("eve", PASSWORD), ADDRESS).await;
    assert_eq!(wrong.unwrap_err().0, Some(Refused::Wrong));
    let code = trust.setup_code().unwrap();
    let short = trust.set_up(&code, ("anna", "short"), ADDRESS).await.unwrap_err();
    assert!(short.0.is_none() && short.1.contains("10 characters"), "{short:?}");
    let opened = set_up(&trust).await;
    assert_eq!(role_of(&trust, &opened), Some(Role::Admin));
    assert_eq!((trust.needs_setup(), trust.setup_code()), (false, None));
    assert!(trust.set_up(&code, ("eve", PASSWORD), ADDRESS).await.unwrap_err().1.contains("set up already"));
    assert_eq!(trust.people().person.len(), 1);
}

#[tokio::test]
async fn a_code_that_was_given_out_beforehand_is_as_good_as_the_one_of_the_log_and_no_other_is() {
    let told = "k3vp-9xwd-2mtr";
    for good in [told, &told.to_uppercase().replace('-', " "), "log"] {
        let dir = tempfile::tempdir().unwrap();
        let hash = Hash::of(&typed_code(told)).unwrap();
        let trust = Arc::new(Trust::open(dir.path(), Permit::default(), Some(hash)));
        let wrong = trust.set_up("aaaa-aaaa-aaaa", ("eve", PASSWORD), ADDRESS).await;
        assert_eq!(wrong.unwrap_err().0, Some(Refused::Wrong));
        let code = if good == "log" { trust.setup_code().unwrap() } else { good.to_owned() };
        assert!(trust.set_up(&code, ("anna", PASSWORD), ADDRESS).await.is_ok(), "{good}");
        assert!(trust.set_up(told, ("eve", PASSWORD), ADDRESS).await.unwrap_err().1.contains("set up already"));
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_read_lets_nobody_set_the_gateway_up_anew() {
    let dir = tempfile::tempdir().unwrap();
    let opened = set_up(&trust(dir.path())).await;
    let file = PeopleFile::of(dir.path());
    let good = std::fs::read(file.path()).unwrap();
    std::fs::write(file.path(), "[[person").unwrap();
    let trust = trust(dir.path());
    assert_eq!((trust.needs_setup(), trust.setup_code()), (false, None));
    assert_eq!(trust.sign_in("anna", PASSWORD, ADDRESS).await.unwrap_err(), Refused::Wrong);
    std::fs::write(file.path(), good).unwrap();
    trust.reload().unwrap();
    assert!(trust.sign_in("anna", PASSWORD, ADDRESS).await.is_ok());
    assert_eq!(role_of(&trust, &opened), None, "a session ends with the process");
}

#[tokio::test]
async fn a_session_ends_with_the_password_that_began_it_and_a_role_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let trust = trust(dir.path());
    let first = set_up(&trust).await;
    let hash = trust.hash(PASSWORD.to_owned()).await.unwrap();
    trust.change(move |people| people.add("ben", Role::Viewer, hash)).await.unwrap();
    let ben = trust.sign_in("ben", PASSWORD, ADDRESS).await.unwrap();
    assert_eq!(role_of(&trust, &ben), Some(Role::Viewer));
    let caller = trust.by_cookie(&ben.secret, true);
    trust.change(|people| people.change("ben", |ben| ben.role = Role::Operator)).await.unwrap();
    assert_eq!(role_of(&trust, &ben), Some(Role::Operator));
    assert!(trust.still(&caller, Role::Operator) && !trust.still(&caller, Role::Admin));
    let another = trust.hash("something else again".to_owned()).await.unwrap();
    trust.change(move |people| people.change("ben", |ben| ben.hash = another)).await.unwrap();
    assert_eq!(role_of(&trust, &ben), None);
    assert!(!trust.still(&caller, Role::Viewer));
    trust.sign_out(&trust.by_cookie(&first.secret, true));
    assert_eq!(role_of(&trust, &first), None);
}

#[tokio::test]
async fn of_a_hundred_wrong_passwords_few_are_looked_at_and_then_the_right_one_waits_too() {
    let dir = tempfile::tempdir().unwrap();
    let trust = trust(dir.path());
    set_up(&trust).await;
    let stranger: IpAddr = "192.0.2.7".parse().unwrap();
    let mut looked_at = 0;
    for _ in 0..100 {
        looked_at += u32::from(trust.sign_in("anna", "wrong", stranger).await.unwrap_err() == Refused::Wrong);
    }
    assert!((5..=10).contains(&looked_at), "{looked_at}");
    assert_eq!(trust.sign_in("anna", PASSWORD, stranger).await.unwrap_err(), Refused::HeldBack);
}

#[tokio::test]
async fn a_token_opens_what_its_scope_says_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let trust = trust(dir.path());
    let secret = trust.change(|people| people.add_token("prometheus", Role::Metrics, None)).await.unwrap();
    let caller = trust.by_token(&secret);
    assert_eq!(caller.role(), Some(Role::Metrics));
    assert_eq!(trust.by_token(&secret[1..]).role(), None);
    trust.change(|people| people.remove_token("prometheus")).await.unwrap();
    assert_eq!(trust.by_token(&secret).role(), None);
    assert!(!trust.still(&caller, Role::Metrics));
    // Another of the same name is another.
    let another = trust.change(|people| people.add_token("prometheus", Role::Admin, None)).await.unwrap();
    assert!(!trust.still(&caller, Role::Metrics) && trust.still(&trust.by_token(&another), Role::Admin));
}

#[tokio::test]
async fn whoever_reads_the_file_during_a_change_does_not_bring_back_what_it_took_away() {
    let dir = tempfile::tempdir().unwrap();
    let trust = trust(dir.path());
    let secret = trust.change(|people| people.add_token("robot", Role::Admin, None)).await.unwrap();
    let reader = Arc::clone(&trust);
    let (told, done) = std::sync::mpsc::channel();
    let during = move |people: &mut People| {
        let reading = std::thread::spawn(move || told.send(reader.reload()));
        assert!(done.recv_timeout(Duration::from_millis(200)).is_err(), "the file is read in between");
        people.remove_token("robot").map(|()| (reading, done))
    };
    let (reading, done) = trust.change(during).await.unwrap();
    done.recv().unwrap().unwrap();
    reading.join().unwrap().unwrap();
    assert_eq!(trust.by_token(&secret).role(), None);
}
