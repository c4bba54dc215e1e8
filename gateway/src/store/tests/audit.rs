//! The audit log with real files.

use super::*;
use crate::store::rows::{AUDIT_OWN_ROWS, AUDIT_OWN_ROWS_EACH, AUDIT_REFUSED_ROWS, AUDIT_ROWS, AuditSurplus};

fn row(what: &str) -> AuditRow {
    AuditRow {
        at: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        who: "anna".into(),
        whence: Some("192.0.2.7".into()),
        what: what.into(),
        outcome: "done".into(),
    }
}

#[tokio::test]
async fn what_was_noted_is_there_after_a_restart_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    for number in 0..AUDIT_ROWS + 5 {
        store.audit(row(&number.to_string()));
        if number % 400 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    drop(store);
    let (store, stored) = Store::open(folder.path()).unwrap();
    let kept: Vec<_> = stored.audit.values().map(|row| row.what.clone()).collect();
    let wanted: Vec<_> = (5..AUDIT_ROWS + 5).map(|number| number.to_string()).collect();
    assert_eq!(kept, wanted);
    assert_eq!(stored.audit.values().next(), Some(&row("5")));
    // Numbers go on from there.
    store.audit(row("next"));
    store.flush().await.unwrap();
    drop(store);
    let (_, stored) = Store::open(folder.path()).unwrap();
    assert_eq!(stored.audit.len(), AUDIT_ROWS);
    assert_eq!(stored.audit.last_key_value().unwrap().1, &row("next"));
}

#[tokio::test]
async fn what_was_refused_pushes_out_nothing_that_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let refused = |number: usize| AuditRow { outcome: "refused".into(), ..row(&number.to_string()) };
    store.audit(row("set up"));
    for number in 0..2 * AUDIT_ROWS {
        store.audit(refused(number));
        if number % 300 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    drop(store);
    let kept: Vec<_> = Store::open(folder.path()).unwrap().1.audit.into_values().collect();
    let newest = (2 * AUDIT_ROWS - AUDIT_REFUSED_ROWS..2 * AUDIT_ROWS).map(refused);
    assert_eq!(kept, [row("set up")].into_iter().chain(newest).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_comes_and_goes_pushes_out_neither_what_was_done_nor_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let by = |who: &str, what: &str| AuditRow { who: who.into(), ..row(what) };
    let mut rows = vec![row("set up"), by("ben", AuditRow::SIGNED_IN)];
    let often = (0..AUDIT_ROWS).flat_map(|_| [AuditRow::SIGNED_IN, AuditRow::SIGNED_OUT, AuditRow::OWN_PASSWORD]);
    rows.extend(often.map(|what| by("anna", what)));
    rows.push(row("the last"));
    for (number, row) in rows.iter().enumerate() {
        store.audit(row.clone());
        if number % 700 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    drop(store);
    let kept: Vec<_> = Store::open(folder.path()).unwrap().1.audit.into_values().collect();
    let annas = rows[rows.len() - 1 - AUDIT_OWN_ROWS_EACH..].iter().cloned();
    assert_eq!(kept, rows[..2].iter().cloned().chain(annas).collect::<Vec<_>>());
    // Those in memory go by the same rule, and all people together have a bound.
    let mut surplus = AuditSurplus::of(rows.iter());
    rows.retain(|row| surplus.keeps(row));
    assert_eq!(rows, kept);
    let crowd: Vec<_> = (0..2 * AUDIT_OWN_ROWS).map(|number| by(&number.to_string(), AuditRow::SIGNED_IN)).collect();
    let mut surplus = AuditSurplus::of(crowd.iter());
    assert_eq!(crowd.iter().filter(|row| surplus.keeps(row)).count(), AUDIT_OWN_ROWS);
}

#[tokio::test]
async fn a_time_that_has_no_words_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    for what in ["one", "two"] {
        store.audit(row(what));
    }
    store.flush().await.unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    connection.execute("UPDATE audit SET at = 253402300800 WHERE what = 'one'", []).unwrap();
    drop(connection);
    let stored = Store::open(folder.path()).unwrap().1;
    assert_eq!((stored.unreadable, stored.audit.into_values().collect::<Vec<_>>()), (1, vec![row("two")]));
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    store.0.database.lock().unwrap().break_writes(true);
    store.audit(row("one"));
    store.flush().await.unwrap_err();
    store.audit(row("two"));
    store.0.database.lock().unwrap().break_writes(false);
    store.flush().await.unwrap();
    drop(store);
    let (_, stored) = Store::open(folder.path()).unwrap();
    assert_eq!(stored.audit.into_values().collect::<Vec<_>>(), [row("one"), row("two")]);
}
