//! Nodes of the counted B+tree, and the arenas that hold them.
//!
//! Owns: the arrays of one node and moving parts of them between two nodes. Refuses to know: the shape of the tree.
//! Start at [`Leaf`].

use std::cmp::Ordering;
use std::ops::{Index, IndexMut};

use super::Item;

/// Items in a leaf: with its links 760 bytes, just under an allocator's size class.
pub(super) const LEAF_ITEMS: usize = 62;
/// Children of an inner node.
pub(super) const INNER_CHILDREN: usize = 36;
/// No node.
pub(super) const NIL: u32 = u32::MAX;

/// Items side by side in order, linked to its neighbours.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) scores: [f64; LEAF_ITEMS],
    pub(super) ids: [u32; LEAF_ITEMS],
    pub(super) prev: u32,
    pub(super) next: u32,
    len: u16,
}

impl Default for Leaf {
    fn default() -> Self {
        Self::between(NIL, NIL)
    }
}

impl Leaf {
    /// An empty leaf with these neighbours.
    pub(super) fn between(prev: u32, next: u32) -> Self {
        Self { scores: [0.0; LEAF_ITEMS], ids: [0; LEAF_ITEMS], prev, next, len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    pub(super) fn item(&self, pos: usize) -> Item {
        Item { score: self.scores[pos], id: self.ids[pos] }
    }

    /// How many items stand before the one that is meant.
    #[inline]
    pub(super) fn position(&self, cmp: &mut impl FnMut(f64, u32) -> Ordering) -> usize {
        partition(0, self.len(), |at| cmp(self.scores[at], self.ids[at]) == Ordering::Less)
    }

    #[inline]
    pub(super) fn insert(&mut self, pos: usize, score: f64, id: u32) {
        let len = self.len();
        self.scores.copy_within(pos..len, pos + 1);
        self.ids.copy_within(pos..len, pos + 1);
        self.scores[pos] = score;
        self.ids[pos] = id;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, pos: usize, taken: usize) {
        let len = self.len();
        self.scores.copy_within(pos + taken..len, pos);
        self.ids.copy_within(pos + taken..len, pos);
        self.len -= taken as u16;
    }

    /// Moves the items from `from` on to the front of `right`.
    pub(super) fn move_tail(&mut self, from: usize, right: &mut Self) {
        let (moved, right_len) = (self.len() - from, right.len());
        right.scores.copy_within(..right_len, moved);
        right.ids.copy_within(..right_len, moved);
        right.scores[..moved].copy_from_slice(&self.scores[from..from + moved]);
        right.ids[..moved].copy_from_slice(&self.ids[from..from + moved]);
        right.len += moved as u16;
        self.len = from as u16;
    }

    /// Moves the first `moved` items to the end of `left`.
    pub(super) fn move_head(&mut self, moved: usize, left: &mut Self) {
        let left_len = left.len();
        left.scores[left_len..left_len + moved].copy_from_slice(&self.scores[..moved]);
        left.ids[left_len..left_len + moved].copy_from_slice(&self.ids[..moved]);
        left.len += moved as u16;
        self.remove(0, moved);
    }
}

/// Children side by side, each with its first item and the number of items below it.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    key_scores: [f64; INNER_CHILDREN],
    key_ids: [u32; INNER_CHILDREN],
    pub(super) counts: [u32; INNER_CHILDREN],
    pub(super) children: [u32; INNER_CHILDREN],
    len: u16,
}

impl Default for Inner {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    pub(super) fn new() -> Self {
        Self {
            key_scores: [0.0; INNER_CHILDREN],
            key_ids: [0; INNER_CHILDREN],
            counts: [0; INNER_CHILDREN],
            children: [NIL; INNER_CHILDREN],
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    pub(super) fn key(&self, child: usize) -> Item {
        Item { score: self.key_scores[child], id: self.key_ids[child] }
    }

    #[inline]
    pub(super) fn set_key(&mut self, child: usize, item: Item) {
        self.key_scores[child] = item.score;
        self.key_ids[child] = item.id;
    }

    /// Number of items below.
    pub(super) fn total(&self) -> u32 {
        self.counts[..self.len()].iter().sum()
    }

    /// The child below which the meant item is or belongs: the last whose first item does not stand after it.
    #[inline]
    pub(super) fn child_of(&self, cmp: &mut impl FnMut(f64, u32) -> Ordering) -> usize {
        partition(1, self.len(), |at| cmp(self.key_scores[at], self.key_ids[at]) != Ordering::Greater) - 1
    }

    pub(super) fn insert(&mut self, at: usize, key: Item, child: u32, count: u32) {
        let len = self.len();
        self.key_scores.copy_within(at..len, at + 1);
        self.key_ids.copy_within(at..len, at + 1);
        self.counts.copy_within(at..len, at + 1);
        self.children.copy_within(at..len, at + 1);
        self.set_key(at, key);
        self.counts[at] = count;
        self.children[at] = child;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize) {
        let len = self.len();
        self.key_scores.copy_within(at + 1..len, at);
        self.key_ids.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.children.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    /// Moves the children from `from` on to the end of `other`, a neighbour that is empty or stands before this node.
    pub(super) fn move_tail(&mut self, from: usize, other: &mut Self) {
        let (moved, at) = (self.len() - from, other.len());
        other.key_scores[at..at + moved].copy_from_slice(&self.key_scores[from..from + moved]);
        other.key_ids[at..at + moved].copy_from_slice(&self.key_ids[from..from + moved]);
        other.counts[at..at + moved].copy_from_slice(&self.counts[from..from + moved]);
        other.children[at..at + moved].copy_from_slice(&self.children[from..from + moved]);
        other.len += moved as u16;
        self.len = from as u16;
    }
}

/// The first index from `start` to `end` for which `before` is false; `before` is true up to there.
#[inline]
fn partition(start: usize, end: usize, mut before: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (start, end.max(start));
    while low < high {
        let middle = (low + high) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Nodes by index. A freed node's memory goes back at once; its index is used again.
#[derive(Debug, Clone)]
pub(super) struct Arena<T> {
    nodes: Vec<Option<Box<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    pub(super) fn add(&mut self, node: T) -> u32 {
        let node = Some(Box::new(node));
        match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        }
    }

    pub(super) fn free(&mut self, index: u32) {
        self.nodes[index as usize] = None;
        self.free.push(index);
    }

    /// Frees up to `max` slots from the end, and says how many.
    pub(super) fn dismantle(&mut self, max: usize) -> usize {
        let freed = max.min(self.nodes.len());
        self.nodes.truncate(self.nodes.len() - freed);
        self.free = Vec::new();
        if self.nodes.is_empty() {
            self.nodes = Vec::new();
        }
        freed
    }

    /// Slots, free ones included.
    pub(super) fn slots(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.nodes.len() - self.free.len()) * size_of::<T>()
            + self.nodes.capacity() * size_of::<Option<Box<T>>>()
            + self.free.capacity() * size_of::<u32>()
    }
}

impl<T> Index<u32> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        self.nodes[index as usize].as_deref().expect("the tree names live nodes only")
    }
}

impl<T> IndexMut<u32> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.nodes[index as usize].as_deref_mut().expect("the tree names live nodes only")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_fits_its_size_class() {
        assert!(size_of::<Leaf>() <= 768 && size_of::<Leaf>() * 100 / LEAF_ITEMS <= 1_230);
        assert!(size_of::<Inner>() <= 768);
    }
}
