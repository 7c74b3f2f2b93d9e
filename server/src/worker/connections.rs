//! The connections of a worker, in slots that are used again.

use rim_driver::{Owner, Token};

use crate::connection::Connection;

/// A table of connections, found by token.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Slot>,
    /// Free slots, used last in, first out: the state of a busy server stays in few cache lines.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    /// How often the slot has been freed.
    generation: u32,
    connection: Option<Connection>,
}

impl Connections {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds one; the name to find it by.
    pub(crate) fn insert(&mut self, connection: Connection) -> Token {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, connection: None });
            u32::try_from(self.slots.len() - 1).expect("fewer connections than slots in a token")
        });
        let place = &mut self.slots[slot as usize];
        place.connection = Some(connection);
        Token::new(Owner::Connection, slot, place.generation)
    }

    /// The connection of that name, if it is still there.
    #[inline]
    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(token.slot() as usize)?;
        if slot.generation == token.generation() { slot.connection.as_mut() } else { None }
    }

    /// Removes one. Its name will never find another.
    pub(crate) fn remove(&mut self, token: Token) -> Option<Connection> {
        self.get(token)?;
        let slot = &mut self.slots[token.slot() as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.slot());
        slot.connection.take()
    }

    /// The names of all.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let numbered = self.slots.iter().enumerate();
        numbered
            .filter(|(_, slot)| slot.connection.is_some())
            .map(|(number, slot)| Token::new(Owner::Connection, number as u32, slot.generation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rim_driver::{Socket, Time};

    #[test]
    fn a_slot_is_used_again_under_another_name() {
        let mut connections = Connections::default();
        let new = || Connection::new(Socket(1), Time::ZERO);
        let first = connections.insert(new());
        assert!(connections.get(first).is_some());
        assert!(connections.remove(first).is_some());
        assert!(connections.remove(first).is_none());
        let second = connections.insert(new());
        assert_eq!((second.slot(), connections.len()), (first.slot(), 1));
        assert!(connections.get(first).is_none(), "the old name finds nothing");
        assert_eq!(connections.tokens(), [second]);
    }
}
