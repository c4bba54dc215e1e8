//! How long a change of paths leaves the remote without messages: from the last acknowledgement on the old path to the first
//! on the new one, without the time in which there was nothing to acknowledge. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// The path in use.
    path: usize,
    /// On which path something was acknowledged last, and when.
    last: Option<(usize, Instant)>,
    /// One that nobody has been told of.
    news: Option<Duration>,
}

impl Gap {
    /// A connection goes over this path.
    pub(super) fn goes_over(&mut self, path: usize) {
        self.path = path;
    }

    /// A message was acknowledged that has waited for so long; `None` where that is not known.
    pub(super) fn acknowledged(&mut self, now: Instant, waited: impl FnOnce() -> Option<Duration>) {
        let last = self.last.replace((self.path, now));
        if let Some((_, at)) = last.filter(|(path, _)| *path != self.path) {
            let silent = now.duration_since(at);
            self.news = Some(waited().map_or(silent, |waited| waited.min(silent)));
        }
    }

    /// One that was measured since the last time this was asked.
    pub(super) fn news(&mut self) -> Option<Duration> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_time_without_acknowledgements_as_long_as_something_waited() {
        let (mut gap, start, second) = (Gap::default(), Instant::now(), Duration::from_secs(1));
        gap.goes_over(1);
        gap.acknowledged(start, || panic!("the first one of all"));
        gap.acknowledged(start + second, || panic!("the same path"));
        assert_eq!(gap.news(), None);
        gap.goes_over(0);
        gap.acknowledged(start + 4 * second, || Some(60 * second));
        gap.acknowledged(start + 5 * second, || panic!("not the first one on this path"));
        assert_eq!((gap.news(), gap.news()), (Some(3 * second), None));
        gap.goes_over(1);
        gap.acknowledged(start + 500 * second, || Some(second));
        assert_eq!(gap.news(), Some(second), "nothing waited before");
        gap.goes_over(0);
        gap.acknowledged(start + 501 * second, || None);
        assert_eq!(gap.news(), Some(second), "nobody knows how long it waited");
    }
}
