//! The arena alone: contents, and the memory that it holds.

use alloc::string::ToString;
use alloc::vec;

use serde::ser::{Error, SerializeSeq, Serializer};

use super::*;

/// Numbers of sealed and of free chunks.
fn sizes(arena: &MessageArena) -> (usize, usize) {
    (arena.sealed.len(), arena.free_list.len())
}

/// Capacity of all chunks, in bytes.
fn held(arena: &MessageArena) -> usize {
    let arena = arena
        .sealed
        .iter()
        .chain([&arena.current])
        .map(|chunk| &chunk.bytes)
        .chain(&arena.free_list);
    arena.map(Vec::capacity).sum()
}

fn write_json(arena: &mut MessageArena, message: &impl Serialize) -> MessageSlot {
    let draft = arena.write(message).unwrap();
    arena.commit(draft)
}

fn write(arena: &mut MessageArena, bytes: usize) -> MessageSlot {
    // With its quotes.
    let slot = write_json(arena, &"x".repeat(bytes - 2));
    assert_eq!((slot.len(), arena.get(slot).len()), (bytes, bytes));
    slot
}

#[test]
fn messages_are_kept_unchanged() {
    let mut arena = MessageArena::DEFAULT;
    let slots = [
        write_json(&mut arena, &["é\n"]),
        arena.copy(b""),
        arena.copy(&[0xFF, 0]),
        write_json(&mut arena, &1.5),
    ];
    let said = |arena: &MessageArena, n: usize| arena.get(slots[n]).to_vec();
    assert_eq!(said(&arena, 0), r#"["é\n"]"#.as_bytes());
    assert_eq!((said(&arena, 1), said(&arena, 2)), (vec![], vec![0xFF, 0]));
    // The others stay where they are.
    arena.remove(slots[0]);
    arena.remove(slots[2]);
    assert_eq!((said(&arena, 1), said(&arena, 3)), (vec![], b"1.5".to_vec()));
    arena.remove(slots[1]);
    assert_eq!(said(&arena, 3), b"1.5");
}

/// A full chunk is sealed; one that lacks a byte is not, and takes any message.
#[test]
fn the_size_of_a_chunk() {
    let mut arena = MessageArena::DEFAULT;
    let one = write(&mut arena, SEAL_AT - 1);
    let two = write(&mut arena, SEAL_AT / 2);
    assert_eq!(sizes(&arena), (0, 0));
    let three = write(&mut arena, SEAL_AT);
    assert_eq!(sizes(&arena), (1, 0));
    let four = write(&mut arena, 2);
    assert_eq!(sizes(&arena), (2, 0));
    for slot in [one, two, three, four] {
        assert!(arena.get(slot).starts_with(b"\"") && arena.get(slot).ends_with(b"\""));
    }
    arena.remove(one);
    arena.remove(three);
    assert_eq!(sizes(&arena), (1, 1), "the second chunk is free, the first one is not");
    assert_eq!((arena.get(two).len(), arena.get(four)), (SEAL_AT / 2, &b"\"\""[..]));
    arena.remove(two);
    assert_eq!(sizes(&arena), (0, 2));
    assert_eq!(arena.get(four), b"\"\"");
}

/// A short message holds no long one's memory.
#[test]
fn a_long_message_has_a_chunk_of_its_own() {
    let mut arena = MessageArena::DEFAULT;
    let short = write(&mut arena, 10);
    let fits = write(&mut arena, CAPACITY - 10);
    assert_eq!(sizes(&arena), (0, 0));
    let next = write(&mut arena, 10);
    let long = write(&mut arena, CAPACITY - 9);
    assert_eq!(sizes(&arena), (2, 0));
    assert_eq!(arena.current.bytes, arena.get(long));
    let last = arena.copy(&[7; 3 * CAPACITY]);
    assert_eq!((sizes(&arena), arena.get(last)), ((3, 0), &[7; 3 * CAPACITY][..]));
    arena.remove(long);
    arena.remove(fits);
    arena.remove(last);
    arena.on_idle();
    assert!(held(&arena) <= 4 * CAPACITY, "{} bytes for two short messages", held(&arena));
    assert_eq!(arena.get(short), arena.get(next));
}

/// The first message stays, and the ones behind it are dropped one after the other.
#[test]
fn removed_messages_hold_no_memory() {
    let mut arena = MessageArena::DEFAULT;
    let first = write(&mut arena, 100);
    let mut queue = VecDeque::new();
    for n in 0..10_000 {
        queue.push_back((n, arena.copy(&[n as u8; 100])));
        if queue.len() > 300 {
            let (_, oldest) = queue.pop_front().unwrap();
            arena.rollback(oldest);
        }
        let (sealed, free_list) = sizes(&arena);
        assert!(sealed <= 6 && free_list <= 1, "{n}: {sealed}, {free_list}");
    }
    for (n, slot) in queue {
        assert_eq!(arena.get(slot), [n as u8; 100]);
        arena.remove(slot);
    }
    arena.on_idle();
    arena.remove(first);
    arena.on_idle();
}

/// The room of a message that is rolled back is used again, also behind another message.
#[test]
fn the_latest_is_rolled_back() {
    let mut arena = MessageArena::DEFAULT;
    let one = write(&mut arena, 10);
    for _ in 0..2_000 {
        let next = write(&mut arena, 100);
        arena.rollback(next);
    }
    assert_eq!((sizes(&arena), arena.current.bytes.len()), ((0, 0), 10));
    let long = write(&mut arena, 10 * CAPACITY);
    arena.rollback(long);
    assert!(held(&arena) <= 2 * CAPACITY, "{}", held(&arena));
    let two = write(&mut arena, 10);
    assert_eq!(sizes(&arena), (1, 0));
    arena.rollback(one);
    assert_eq!(arena.get(two).len(), 10);
    let three = write(&mut arena, 20);
    arena.rollback(two);
    assert_eq!(arena.get(three).len(), 20, "only the latest makes room");
    assert_eq!(arena.current.bytes.len(), 30);
}

#[test]
fn a_chunk_is_used_again() {
    let mut arena = MessageArena::DEFAULT;
    let one = write(&mut arena, 100);
    let slot = arena.get(one).as_ptr();
    for _ in 0..1_000 {
        arena.remove(one);
        let next = write(&mut arena, 100);
        assert_eq!((arena.get(next).as_ptr(), arena.get(one).len()), (slot, 100));
    }
    assert_eq!(sizes(&arena), (0, 0));
}

/// One message is always live.
#[test]
fn two_chunks_take_turns() {
    let mut arena = MessageArena::DEFAULT;
    let mut last = write(&mut arena, 1_000);
    let mut most = 0;
    for _ in 0..1_000 {
        let next = write(&mut arena, 1_000);
        arena.remove(last);
        last = next;
        let (sealed, free_list) = sizes(&arena);
        most = most.max(sealed + free_list);
    }
    assert_eq!(most, 1);
}

/// The free list is short, and has no large chunk.
#[test]
fn the_free_list_is_bounded() {
    let mut arena = MessageArena::DEFAULT;
    let slots: Vec<MessageSlot> = (0..20).map(|_| write(&mut arena, SEAL_AT)).collect();
    assert_eq!(sizes(&arena), (19, 0));
    for slot in slots {
        arena.remove(slot);
    }
    assert_eq!(sizes(&arena), (0, MAX_FREE));
    arena.on_idle();
    assert_eq!(sizes(&arena), (0, 0));

    let long = write(&mut arena, CAPACITY + 1);
    assert_eq!(arena.get(long).len(), CAPACITY + 1);
    let short = write(&mut arena, 10);
    arena.remove(long);
    assert_eq!(sizes(&arena), (0, 0), "a large one is no spare one");
    arena.remove(short);
    assert!(arena.current.bytes.capacity() > 0);
    let long = write(&mut arena, 2 * CAPACITY + 1);
    arena.remove(long);
    assert_eq!(arena.current.bytes.capacity(), 0, "nor is it live");
}

#[test]
fn a_chunk_with_a_message_is_not_freed() {
    let mut arena = MessageArena::DEFAULT;
    let one = write(&mut arena, SEAL_AT);
    let two = write(&mut arena, 10);
    arena.on_idle();
    arena.remove(two);
    arena.on_idle();
    assert_eq!((arena.current.bytes.capacity(), arena.get(one).len()), (0, SEAL_AT));
    let two = write(&mut arena, 10);
    arena.remove(one);
    arena.on_idle();
    assert_eq!(arena.get(two).len(), 10);
    arena.remove(two);
    arena.on_idle();
}

#[test]
fn the_latest_message_may_grow() {
    let mut arena = MessageArena::DEFAULT;
    let one = write(&mut arena, 10);
    let two = arena.copy(b"{}");
    let two = arena.insert(two, 1, b"abc");
    let three = arena.copy(&[b'-'; CAPACITY - 100]);
    assert_eq!(sizes(&arena), (0, 0));
    let three = arena.insert(three, CAPACITY - 100, &[b'+'; 200]);
    assert_eq!(sizes(&arena), (1, 0), "it has a chunk of its own");
    assert_eq!((arena.get(one).len(), arena.get(two)), (10, &b"{abc}"[..]));
    assert_eq!((arena.get(three).len(), arena.get(three).last()), (CAPACITY + 100, Some(&b'+')));
    [one, two, three].into_iter().for_each(|slot| arena.remove(slot));
    assert_eq!((arena.current.live, arena.sealed.len()), (0, 0));
}

#[test]
fn chunk_numbers_may_wrap() {
    let mut arena = MessageArena::DEFAULT;
    arena.current.number = u32::MAX - 1;
    let slots: Vec<MessageSlot> = (0..5).map(|n| write(&mut arena, SEAL_AT + n)).collect();
    assert_eq!((arena.current.number, sizes(&arena)), (2, (4, 0)));
    for n in [1, 3, 0, 2, 4] {
        assert_eq!(arena.get(slots[n]).len(), SEAL_AT + n);
        arena.remove(slots[n]);
    }
    arena.on_idle();
}

/// It has begun when it fails.
struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element("a beginning")?;
        Err(S::Error::custom("no end"))
    }
}

#[test]
fn a_message_that_fails_leaves_no_trace() {
    let mut arena = MessageArena::DEFAULT;
    for _ in 0..2 {
        assert_eq!(arena.write(&Fails).err().unwrap().to_string(), "no end");
        assert_eq!((arena.current.bytes.len(), arena.current.live), (0, 0));
    }
    let one = write(&mut arena, 10);
    assert!(arena.write(&Fails).is_err());
    let two = write(&mut arena, 10);
    assert_eq!((arena.current.bytes.len(), arena.current.live), (20, 2));
    assert_eq!(arena.get(one), arena.get(two));
}
