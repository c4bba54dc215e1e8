//! What a client wants published when it is lost (MQTT 5.0, section 3.1.2.5).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::broker::access::Access;
use crate::message::{Message, Origin, Properties, QoS, Topic};
use crate::pipeline::Pipeline;

/// What a client wants published when it is lost (MQTT 5.0, section 3.1.2.5).
#[derive(Debug, Clone)]
pub(in crate::broker) struct Will {
    /// Whose it is.
    pub(in crate::broker) access: Arc<Access>,
    pub(in crate::broker) topic: Topic,
    pub(in crate::broker) payload: Bytes,
    pub(in crate::broker) qos: QoS,
    pub(in crate::broker) retain: bool,
    pub(in crate::broker) delay: Duration,
    pub(in crate::broker) properties: Option<Arc<Properties>>,
}

impl Will {
    /// The message that it is, received now; `None` when its client has lost the right to it.
    pub(in crate::broker) fn into_message(self, pipeline: &Pipeline) -> Option<Message> {
        if !self.access.may_publish(&self.topic) {
            return None;
        }
        let origin = Origin::Client(Arc::clone(&self.access.client));
        let mut message = pipeline.message(pipeline.clock().now(), origin, self.topic, self.payload);
        message.qos = self.qos;
        message.retain = self.retain;
        message.properties = self.properties;
        Some(message)
    }
}
