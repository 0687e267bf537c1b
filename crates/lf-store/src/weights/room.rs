//! Room for more records without keeping readers waiting: the arrays that grow with every record are copied beside them.

use super::forest::Node;
use super::{LINKS_MAX, Weights};
use crate::room::{has_room, roomier, trade};

/// Roomier copies of arrays, see [`Weights::room`]; once they are taken, the old arrays.
#[must_use = "nothing has room until it is taken"]
pub(crate) struct Room {
    nodes: Option<Vec<Node>>,
    links: Option<Vec<u32>>,
}

impl Weights {
    /// Whether the next record can be inserted without moving what is millions of records long.
    pub(crate) fn has_room(&self) -> bool {
        has_room(&self.forest.nodes, 1) && has_room(&self.forest.links, LINKS_MAX)
    }

    /// Room for more records, to be [taken](Self::take_room) before another one is inserted. Takes a nanosecond or two for
    /// each record there is, and others may read meanwhile.
    pub(crate) fn room(&self) -> Room {
        Room { nodes: roomier(&self.forest.nodes, 1), links: roomier(&self.forest.links, LINKS_MAX) }
    }

    /// Takes the room, at once. What is left of it is best dropped when nobody waits for these weights any more.
    pub(crate) fn take_room(&mut self, room: &mut Room) {
        trade(&mut self.forest.nodes, &mut room.nodes);
        trade(&mut self.forest.links, &mut room.links);
    }
}
