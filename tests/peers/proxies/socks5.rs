use std::{net::SocketAddr, sync::Arc};

use fast_socks5::{
    ReplyError,
    server::{Socks5ServerProtocol, SocksServerError, transfer},
    util::target_addr::TargetAddr,
};
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;

use super::{NAME, State, USER, connect};

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = negotiate(stream, &state).await; // who is refused has been told
}

async fn negotiate(stream: TcpStream, state: &State) -> Result<(), SocksServerError> {
    let authenticated = if state.rules.wants_user {
        let (user, password) = USER.split_once(':').expect("it has both");
        let is = |given: String, wanted| percent_decode_str(wanted).decode_utf8().is_ok_and(|wanted| given == wanted);
        let check = |given_user, given_password| is(given_user, user) && is(given_password, password);
        Socks5ServerProtocol::accept_password_auth(stream, check).await?.0
    } else {
        Socks5ServerProtocol::accept_no_auth(stream).await?
    };
    let (command, _, target) = authenticated.read_command().await?;
    state.note(format!("SOCKS5 {}", shown(&target)));
    let port = match target {
        TargetAddr::Ip(address) if address.ip().is_loopback() => address.port(),
        TargetAddr::Domain(name, port) if name == NAME => port,
        _ => return command.reply_error(&ReplyError::HostUnreachable).await,
    };
    let server = connect(port).await;
    let stream = command.reply_success(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    transfer(stream, server).await;
    Ok(())
}

fn shown(target: &TargetAddr) -> String {
    match target {
        TargetAddr::Ip(address) => address.to_string(),
        TargetAddr::Domain(name, port) => format!("{name}:{port}"),
    }
}
