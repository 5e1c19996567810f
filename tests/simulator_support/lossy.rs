//! A way over this machine that loses sound.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Opens a way to `port` of this machine: whoever sends to the port that comes back reaches it. Of the sound in the
/// answers, two packets in a row of every ten are lost.
pub async fn lossy_way(port: u16) -> u16 {
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    far.connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let own = near.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut there, mut back) = ([0; 2048], [0; 2048]);
        let (mut caller, mut sounds) = (None::<SocketAddr>, 0u32);
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut there) => {
                    caller = Some(from);
                    let _ = far.send(&there[..length]).await;
                }
                Ok(length) = far.recv(&mut back) => {
                    let packet = &back[..length];
                    sounds += u32::from(is_sound(packet));
                    if is_sound(packet) && matches!(sounds % 10, 3 | 4) {
                        continue;
                    }
                    if let Some(caller) = caller {
                        let _ = near.send_to(packet, caller).await;
                    }
                }
            }
        }
    });
    own
}

/// RTP and neither RTCP, STUN nor DTLS (RFC 7983, RFC 5761).
fn is_sound(packet: &[u8]) -> bool {
    packet.len() > 12 && (128..192).contains(&packet[0]) && !(192..224).contains(&packet[1])
}
