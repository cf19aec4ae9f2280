"""Who takes part; a new one is a line below."""

from benchmarks.peers import aiokafka_peer, celery_peer, postrider_peer, streams_peer
from benchmarks.peers.peer import Peer

PEERS: dict[str, Peer] = {
    each.name: each
    for each in (
        postrider_peer.HOLD,
        postrider_peer.RESEND,
        *celery_peer.SINGLES,
        *celery_peer.BATCHES,
        aiokafka_peer.PEER,
        streams_peer.PEER,
    )
}
