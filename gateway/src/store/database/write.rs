//! A batch of changes as rows, within a transaction.

use rusqlite::{Transaction, params};

use super::{audit, held, memories, remotes, seconds};
use crate::message::TopicFilter;
use crate::store::pending::{Batch, Numbers, Queued, Session};

/// Takes away what a transaction may have left that failed.
pub(super) fn take_away(transaction: &Transaction<'_>, written: Numbers) -> Result<(), rusqlite::Error> {
    let Numbers { session, queued, held } = written;
    let columns = [("session", "id"), ("remote", "id"), ("subscription", "session"), ("received", "session")];
    let columns = columns.map(|column| (column, session));
    for ((table, column), above) in columns.into_iter().chain([(("queued", "id"), queued), (("held", "id"), held)]) {
        transaction.execute(&format!("DELETE FROM {table} WHERE {column} > ?1"), [above.cast_signed()])?;
    }
    Ok(())
}

pub(super) fn put(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), rusqlite::Error> {
    write_retained(transaction, batch)?;
    for (number, session) in &batch.sessions {
        write_session(transaction, number.cast_signed(), session)?;
    }
    for (number, queued) in &batch.queued {
        write_queued(transaction, number.cast_signed(), queued)?;
    }
    for (number, hold) in &batch.held.0 {
        held::write(transaction, *number, hold)?;
    }
    for (owner, memory) in &batch.memories {
        memories::write(transaction, owner, memory)?;
    }
    audit::write(transaction, &batch.audit)
}

fn write_retained(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), rusqlite::Error> {
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO retained VALUES (?1, ?2)")?;
    let mut clear = transaction.prepare_cached("DELETE FROM retained WHERE topic = ?1")?;
    for (topic, kept) in &batch.retained {
        match &kept.message {
            Some(message) => put.execute(params![topic.as_str(), message.to_record()])?,
            None => clear.execute([topic.as_str()])?,
        };
    }
    Ok(())
}

fn write_session(transaction: &Transaction<'_>, number: i64, session: &Session) -> Result<(), rusqlite::Error> {
    if session.ended {
        for table in ["session WHERE id", "remote WHERE id", "subscription WHERE session", "received WHERE session"] {
            transaction.prepare_cached(&format!("DELETE FROM {table} = ?1"))?.execute([number])?;
        }
        return Ok(());
    }
    if let Some(row) = &session.row {
        let expiry = i64::try_from(row.expiry.as_secs()).unwrap_or(i64::MAX);
        let left = row.left.map(seconds);
        transaction
            .prepare_cached("INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![number, row.client, row.user, expiry, left])?;
    }
    if let Some(row) = &session.remote {
        remotes::write(transaction, number, row)?;
    }
    for (name, row) in &session.subscriptions {
        let Some(row) = row else {
            let sql = "DELETE FROM subscription WHERE session = ?1 AND name = ?2";
            transaction.prepare_cached(sql)?.execute(params![number, name.as_str()])?;
            continue;
        };
        let id = row.subscription_id.map(std::num::NonZero::get);
        transaction
            .prepare_cached("INSERT OR REPLACE INTO subscription VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![number, name.as_str(), row.qos as u8, row.no_local, row.retain_as_published, id])?;
    }
    for (packet_id, in_use) in &session.received {
        let sql = if *in_use {
            "INSERT OR REPLACE INTO received VALUES (?1, ?2)"
        } else {
            "DELETE FROM received WHERE session = ?1 AND packet_id = ?2"
        };
        transaction.prepare_cached(sql)?.execute(params![number, packet_id.get()])?;
    }
    Ok(())
}

fn write_queued(transaction: &Transaction<'_>, number: i64, queued: &Queued) -> Result<(), rusqlite::Error> {
    let sql = match queued {
        Queued::Gone => "DELETE FROM queued WHERE id = ?1",
        Queued::Released => "UPDATE queued SET released = 1 WHERE id = ?1",
        Queued::Put(row, _) => {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO queued VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
            put.execute(params![
                number,
                row.session.cast_signed(),
                row.packet_id.get(),
                row.qos as u8,
                row.retain,
                row.subscription_id.map(std::num::NonZero::get),
                row.share.as_ref().map(TopicFilter::as_str),
                row.released,
                row.message.to_record(),
            ])?;
            return Ok(());
        }
    };
    transaction.prepare_cached(sql)?.execute([number])?;
    Ok(())
}
