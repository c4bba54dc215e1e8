//! More about the messages of the batch.

use super::super::bindings::stile::filter::context::Host;
use super::super::bindings::stile::filter::types::Property;
use super::super::state::{Beside, State, misuse};
use crate::message::{Origin, Properties};

impl State {
    fn beside(&self, index: u32) -> wasmtime::Result<&Beside> {
        match self.batch.get(index as usize) {
            Some(beside) => Ok(beside),
            None if self.batch.is_empty() => misuse("called `context` while no batch was being judged"),
            None => misuse(format!("asked `context` for message {index} of a batch of {}", self.batch.len())),
        }
    }

    fn said<T>(&self, index: u32, what: impl FnOnce(&Properties) -> Option<T>) -> wasmtime::Result<Option<T>> {
        Ok(self.beside(index)?.properties.as_deref().and_then(what))
    }
}

impl Host for State {
    fn id(&mut self, index: u32) -> wasmtime::Result<String> {
        Ok(self.beside(index)?.id.to_string())
    }

    fn origin_name(&mut self, index: u32) -> wasmtime::Result<String> {
        Ok(match &self.beside(index)?.origin {
            Origin::Radio(name) | Origin::Client(name) | Origin::Plugin(name) | Origin::Uplink(name) => {
                (**name).to_owned()
            }
            Origin::Gateway => String::new(),
        })
    }

    fn content_type(&mut self, index: u32) -> wasmtime::Result<Option<String>> {
        self.said(index, |properties| properties.content_type.clone())
    }

    fn response_topic(&mut self, index: u32) -> wasmtime::Result<Option<String>> {
        self.said(index, |properties| properties.response_topic.clone())
    }

    fn correlation(&mut self, index: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        self.said(index, |properties| properties.correlation.as_ref().map(|bytes| bytes.to_vec()))
    }

    fn user_property(&mut self, index: u32, name: String) -> wasmtime::Result<Option<String>> {
        self.said(index, |properties| {
            properties.user.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
        })
    }

    fn user_properties(&mut self, index: u32) -> wasmtime::Result<Vec<Property>> {
        let pair = |(name, value): &(String, String)| Property { name: name.clone(), value: value.clone() };
        let all = self.said(index, |properties| Some(properties.user.iter().map(pair).collect()))?;
        Ok(all.unwrap_or_default())
    }
}
