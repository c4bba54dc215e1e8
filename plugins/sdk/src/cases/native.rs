//! A filter as it is in a test: no WebAssembly, and the gateway in memory.

use super::check::Subject;
use super::file::Case;
use crate::{Draft, Error, Filter, Host, Message, Time, Verdict};

/// A filter with its gateway. The gateway outlives the instance.
pub(super) struct Native<'a, F> {
    case: &'a Case,
    host: Host,
    filter: Option<F>,
}

impl<'a, F: Filter> Native<'a, F> {
    pub(super) fn new(case: &'a Case) -> Self {
        let host = Host::in_memory(F::GRANTS);
        host.set_now(case.start);
        let host = case.data.iter().fold(host, |host, (name, text)| host.with_data(name, text.as_bytes()));
        Self { case, host, filter: None }
    }

    fn filter(&mut self) -> Result<(&mut F, &Host), Error> {
        let filter = self.filter.as_mut().ok_or_else(|| Error::Broken("it was never made".to_owned()))?;
        Ok((filter, &self.host))
    }
}

impl<F: Filter> Subject for Native<'_, F> {
    fn configure(&mut self) -> Result<(), Error> {
        // By way of text, as it comes to the component.
        let text = serde_json::Value::Object(self.case.settings.clone()).to_string();
        let settings = F::settings(&text)?;
        self.filter = Some(F::new(settings, &self.host)?);
        Ok(())
    }

    fn process(&mut self, message: &Message) -> Result<Verdict, Error> {
        self.host.set_now(message.received);
        let (filter, host) = self.filter()?;
        Ok(filter.process(message, host))
    }

    fn tick(&mut self, now: Time) -> Result<Vec<Draft>, Error> {
        self.host.set_now(now);
        let (filter, host) = self.filter()?;
        filter.tick(now, host)
    }

    fn published(&mut self) -> Vec<Draft> {
        self.host.published()
    }
}
