//! `/mqtt`: a request that becomes a WebSocket is answered here, and its stream handed to the broker as it is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Sources;
use crate::accept::Handshaken;
use crate::broker::websocket::{self, Came};

/// Answers and hands over.
pub(super) async fn upgrade(
    State(sources): State<Arc<Sources>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect::<Vec<_>>();
    let accept = match websocket::judge(&headers) {
        Ok(accept) => accept,
        Err(refused) => {
            let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let hints = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
            return (status, hints, format!("{}\n", refused.as_str())).into_response();
        }
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let stream = async move {
        let upgraded = upgrading.await.map_err(io::Error::other)?;
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => return Ok((Came::Plain(parts.io.into_inner()), parts.read_buf)),
            Err(other) => other,
        };
        let secure = upgraded.downcast::<TokioIo<Handshaken>>();
        let parts = secure.map_err(|_| io::Error::other("a stream of another kind"))?;
        Ok((Came::Secure(Box::new(parts.io.into_inner())), parts.read_buf))
    };
    if let Err(why) = sources.broker.take_websocket(Box::pin(stream), peer) {
        log::debug!(peer:% = peer, error = why; "client turned away");
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(websocket::SUBPROTOCOL));
    match HeaderValue::try_from(accept) {
        Ok(accept) => headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept),
        // Base64 is always a good value.
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
