//! With real files and the spool's own thread.

use super::*;

fn open(folder: &Path, settings: SpoolSettings) -> (Spool, Opened) {
    let clock = crate::message::Clock::default();
    Spool::open(folder, "cloud", settings, Arc::new(move || clock.now())).unwrap()
}

/// Waits, but not for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it takes too long")
}

async fn read(reader: &mut Reader, many: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < many {
        records.extend(soon(reader.next_batch(many - records.len(), 1 << 20)).await.unwrap());
    }
    records
}

#[tokio::test]
async fn records_go_through_in_order_while_they_are_appended_and_after_a_restart() {
    const MANY: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let settings = SpoolSettings { segment_bytes: 64 * 1024, policy: Policy::Block, ..SpoolSettings::default() };
    let (spool, _) = open(folder.path(), settings.clone());
    let mut reader = spool.reader().unwrap();
    assert!(spool.reader().is_none(), "there is one reader");
    let appending = async {
        for n in 0..MANY {
            soon(spool.append(Bytes::from(format!("{n:0200}")), Priority::Bulk, None)).await.unwrap();
            if n % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let mut seen = 0;
    let reading = async {
        while seen < MANY / 2 {
            for record in soon(reader.next_batch(100, 1 << 20)).await.unwrap() {
                assert_eq!(record.bytes, format!("{seen:0200}"));
                assert!(reader.acknowledge(record.seq));
                seen += 1;
            }
        }
    };
    tokio::join!(appending, reading);
    drop(reader);
    soon(spool.close()).await.unwrap();
    assert_eq!(spool.try_append(Bytes::from("x"), Priority::Bulk, None).unwrap_err().why, Refused::Closed);
    let (spool, opened) = open(folder.path(), settings);
    assert_eq!((opened.messages as usize, opened.quarantined), (MANY - seen, Quarantined::default()));
    let mut reader = spool.reader().unwrap();
    while seen < MANY {
        for record in soon(reader.next_batch(100, 1 << 20)).await.unwrap() {
            assert_eq!(record.bytes, format!("{seen:0200}"));
            assert!(reader.acknowledge(record.seq));
            seen += 1;
        }
    }
    soon(spool.close()).await.unwrap();
    assert_eq!(soon(reader.next_batch(1, 1)).await, None, "closed");
    let used: u64 = walk(folder.path());
    assert!(used < 20_000, "{used} bytes for nothing");
}

/// Bytes of all files below.
fn walk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[tokio::test]
async fn a_receipt_is_told_by_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), SpoolSettings::default());
    for priority in Priority::ALL {
        let told = Arc::new(Notify::new());
        let (receipt, awaited) = Receipt::new(Arc::clone(&told), None);
        spool.append(Bytes::from("x"), priority, Some(receipt)).await.unwrap();
        soon(told.notified()).await;
        assert_eq!(awaited.promise(), Promise::Kept);
    }
    assert!(spool.figures().disk_bytes > 0);
}

#[tokio::test]
async fn who_waits_for_room_gets_it_when_the_remote_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SpoolSettings { max_bytes: BYTES_MIN, policy: Policy::Block, ..SpoolSettings::default() };
    let (spool, _) = open(folder.path(), settings);
    let record = Bytes::from(vec![7; 10_000]);
    while spool.try_append(record.clone(), Priority::Bulk, None).is_ok() {}
    let mut reader = spool.reader().unwrap();
    let (_, appended) = tokio::join!(
        async {
            for record in read(&mut reader, 20).await {
                reader.acknowledge(record.seq);
            }
        },
        soon(spool.append(record.clone(), Priority::Bulk, None)),
    );
    appended.unwrap();
}

#[tokio::test]
async fn a_folder_has_one_owner_and_is_free_when_that_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path(), SpoolSettings::default());
    let clock = crate::message::Clock::default();
    let second = Spool::open(folder.path(), "cloud", SpoolSettings::default(), Arc::new(move || clock.now()));
    assert!(matches!(second, Err(SpoolError::Locked { .. })));
    spool.append(Bytes::from("kept"), Priority::Bulk, None).await.unwrap();
    // Without a word: the thread writes what there is.
    drop(spool);
    let again = async {
        loop {
            let clock = crate::message::Clock::default();
            let settings = SpoolSettings::default();
            match Spool::open(folder.path(), "cloud", settings, Arc::new(move || clock.now())) {
                Ok(opened) => return opened,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    assert_eq!(soon(again).await.1.messages, 1);
}
