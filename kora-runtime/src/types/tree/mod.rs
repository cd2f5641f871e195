//! A counted B+tree of scored items: the order of a big sorted set.
//!
//! Owns: where each item stands, ranks, walks in both directions. Refuses to know: what an `id` stands for; every
//! operation that must compare is given the comparison. Start at [`Tree::insert`], then [`Tree::remove_range`].
//!
//! ```text
//! inner: per child  count of its items │ its first item (score, id) │ node index      up to 36 children
//! leaf:  scores f64 × 62 │ ids u32 × 62 │ previous │ next │ len                        760 bytes: 12.3 per item when full
//! ```
//! Invariants: the key of every child is exactly the first item below it (so no key ever names an item that has gone), the
//! counts are exact, no node but an empty root is empty, and neighbours that fit into 7/8 of one node are merged when one of
//! them is less than half full. Inserting past either end starts a new leaf and leaves the old one full; elsewhere a full
//! leaf first gives to a neighbour, which keeps leaves about 4/5 full under random inserts.

mod node;

use std::cmp::Ordering;
use std::ops::Range;

use node::{Arena, INNER_CHILDREN, Inner, LEAF_ITEMS, Leaf, NIL};

/// More levels than 2^32 items can need: merged neighbours hold 15 children on average at the least.
const HEIGHT_MAX: usize = 16;

/// One item: what it is ordered by first, and the name its owner gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Compared first. Never NaN.
    pub score: f64,
    /// What the caller's comparison looks the rest up by.
    pub id: u32,
}

/// The inner nodes above a leaf, from the root down, each with the child that was taken.
#[derive(Clone, Copy)]
struct Path {
    steps: [(u32, u8); HEIGHT_MAX],
    len: usize,
}

impl Path {
    fn new() -> Self {
        Self { steps: [(NIL, 0); HEIGHT_MAX], len: 0 }
    }

    #[inline]
    fn push(&mut self, node: u32, child: usize) {
        self.steps[self.len] = (node, child as u8);
        self.len += 1;
    }

    #[inline]
    fn step(&self, depth: usize) -> (u32, usize) {
        let (node, child) = self.steps[depth];
        (node, usize::from(child))
    }
}

/// Items in the caller's order, counted, so that ranks cost O(log n).
///
/// A comparison is `FnMut(score, id) -> Ordering`: how the stored item stands to the one that is meant (`Less`: before it). It must
/// be the same total order every time. Ids are distinct.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    leaves: Arena<Leaf>,
    inners: Arena<Inner>,
    root: u32,
    /// Levels of inner nodes; 0 while the root is a leaf.
    height: usize,
    len: usize,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of items.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without items.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item that is not there yet; `cmp` tells how a stored item stands to it.
    pub fn insert(&mut self, score: f64, id: u32, mut cmp: impl FnMut(f64, u32) -> Ordering) {
        assert!(!score.is_nan(), "NaN has no place in an order");
        if self.len == 0 {
            self.clear();
            self.root = self.leaves.add(Leaf::between(NIL, NIL));
        } else if self.height > 0 && self.inners[self.root].len() == INNER_CHILDREN {
            self.grow_root();
        }
        let mut path = Path::new();
        let mut node = self.root;
        for level in (1..=self.height).rev() {
            let mut child = self.inners[node].child_of(&mut cmp);
            // Splitting full nodes on the way down leaves room above for what splits below.
            if level > 1 && self.inners[self.inners[node].children[child]].len() == INNER_CHILDREN {
                self.split_inner(node, child);
                let right = self.inners[node].key(child + 1);
                child += usize::from(cmp(right.score, right.id) != Ordering::Greater);
            }
            path.push(node, child);
            node = self.inners[node].children[child];
        }
        let mut pos = self.leaves[node].position(&mut cmp);
        if self.leaves[node].len() == LEAF_ITEMS {
            if self.height == 0 {
                self.grow_root();
                path.push(self.root, 0);
            }
            (node, pos) = self.make_room(&mut path, node, pos);
        }
        self.leaves[node].insert(pos, score, id);
        for depth in 0..path.len {
            let (inner, child) = path.step(depth);
            self.inners[inner].counts[child] += 1;
        }
        if pos == 0 {
            self.set_first(&path, path.len, Item { score, id });
        }
        self.len += 1;
    }

    /// Takes out the item that `cmp` calls equal.
    pub fn remove(&mut self, mut cmp: impl FnMut(f64, u32) -> Ordering) -> Option<Item> {
        let (path, leaf, pos) = self.find(&mut cmp)?;
        let item = self.leaves[leaf].item(pos);
        self.take_out(&path, leaf, pos, 1);
        Some(item)
    }

    /// Takes out the items of these ranks and hands each to `sink`, in order.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut sink: impl FnMut(Item)) {
        let mut left = ranks.end.min(self.len).saturating_sub(ranks.start);
        while left > 0 {
            let (path, leaf, pos) = self.descend_to(ranks.start);
            let taken = left.min(self.leaves[leaf].len() - pos);
            for at in pos..pos + taken {
                sink(self.leaves[leaf].item(at));
            }
            self.take_out(&path, leaf, pos, taken);
            left -= taken;
        }
    }

    /// The rank of the item that `cmp` calls equal.
    pub fn rank_of(&self, mut cmp: impl FnMut(f64, u32) -> Ordering) -> Option<usize> {
        let (path, _, pos) = self.find(&mut cmp)?;
        let above = (0..path.len).map(|depth| {
            let (inner, child) = path.step(depth);
            self.inners[inner].counts[..child].iter().map(|&count| count as usize).sum::<usize>()
        });
        Some(above.sum::<usize>() + pos)
    }

    /// How many items stand before a bound: the rank of the first that does not. `before` must be true for the items up to some
    /// point and false from there on.
    pub fn rank_where(&self, mut before: impl FnMut(f64, u32) -> bool) -> usize {
        if self.len == 0 {
            return 0;
        }
        let mut cmp = |score, id| if before(score, id) { Ordering::Less } else { Ordering::Greater };
        let mut rank = 0;
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &self.inners[node];
            let child = inner.child_of(&mut cmp);
            rank += inner.counts[..child].iter().map(|&count| count as usize).sum::<usize>();
            node = inner.children[child];
        }
        rank + self.leaves[node].position(&mut cmp)
    }

    /// The item of this rank.
    pub fn nth(&self, rank: usize) -> Option<Item> {
        (rank < self.len).then(|| {
            let (leaf, pos) = self.leaf_at(rank);
            self.leaves[leaf].item(pos)
        })
    }

    /// Items by rank, in order or backwards.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len);
        let left = end.saturating_sub(ranks.start);
        let (front, back) =
            if left == 0 { ((NIL, 0), (NIL, 0)) } else { (self.leaf_at(ranks.start), self.leaf_at(end - 1)) };
        Iter { leaves: &self.leaves, front, back, left }
    }

    /// Gives the item that `cmp` calls equal another score when its place stays the same; `moved` tells how a stored item
    /// stands to the item with its new score. False: nothing was changed, the item may have to move.
    pub fn rescore(
        &mut self,
        score: f64,
        mut cmp: impl FnMut(f64, u32) -> Ordering,
        mut moved: impl FnMut(f64, u32) -> Ordering,
    ) -> bool {
        assert!(!score.is_nan(), "NaN has no place in an order");
        let Some((path, node, pos)) = self.find(&mut cmp) else { return false };
        let leaf = &self.leaves[node];
        // A neighbour in another leaf is not looked up: the ordinary way is right there, too, and rarely needed.
        let after_previous = match pos.checked_sub(1).map(|at| leaf.item(at)) {
            Some(item) => moved(item.score, item.id) == Ordering::Less,
            None => leaf.prev == NIL,
        };
        let before_next = if pos + 1 < leaf.len() {
            let item = leaf.item(pos + 1);
            moved(item.score, item.id) == Ordering::Greater
        } else {
            leaf.next == NIL
        };
        if !(after_previous && before_next) {
            return false;
        }
        let leaf = &mut self.leaves[node];
        leaf.scores[pos] = score;
        let item = leaf.item(pos);
        if pos == 0 {
            self.set_first(&path, path.len, item);
        }
        true
    }

    /// Renames the item that `cmp` calls equal. False when there is none.
    pub fn set_id(&mut self, id: u32, mut cmp: impl FnMut(f64, u32) -> Ordering) -> bool {
        let Some((path, node, pos)) = self.find(&mut cmp) else { return false };
        self.leaves[node].ids[pos] = id;
        let item = self.leaves[node].item(pos);
        if pos == 0 {
            self.set_first(&path, path.len, item);
        }
        true
    }

    /// Forgets all items.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Frees up to `nodes` nodes of a tree that is being thrown away, and says how many are left. After the first call the tree is
    /// good for nothing else.
    pub fn dismantle(&mut self, nodes: usize) -> usize {
        self.len = 0;
        let freed = self.leaves.dismantle(nodes);
        self.inners.dismantle(nodes - freed);
        self.leaves.slots() + self.inners.slots()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.leaves.heap_bytes() + self.inners.heap_bytes()
    }

    /// The way to the item that `cmp` calls equal.
    fn find(&self, cmp: &mut impl FnMut(f64, u32) -> Ordering) -> Option<(Path, u32, usize)> {
        if self.len == 0 {
            return None;
        }
        let mut path = Path::new();
        let mut node = self.root;
        for _ in 0..self.height {
            let child = self.inners[node].child_of(cmp);
            path.push(node, child);
            node = self.inners[node].children[child];
        }
        let leaf = &self.leaves[node];
        let pos = leaf.position(cmp);
        let found = pos < leaf.len() && cmp(leaf.scores[pos], leaf.ids[pos]) == Ordering::Equal;
        found.then_some((path, node, pos))
    }

    /// The way to a rank that exists.
    fn descend_to(&self, rank: usize) -> (Path, u32, usize) {
        debug_assert!(rank < self.len);
        let mut path = Path::new();
        let mut node = self.root;
        let mut left = rank;
        for _ in 0..self.height {
            let inner = &self.inners[node];
            let mut child = 0;
            while left >= inner.counts[child] as usize {
                left -= inner.counts[child] as usize;
                child += 1;
            }
            path.push(node, child);
            node = inner.children[child];
        }
        (path, node, left)
    }

    fn leaf_at(&self, rank: usize) -> (u32, usize) {
        let (_, leaf, pos) = self.descend_to(rank);
        (leaf, pos)
    }

    /// Says to the `depth` inner nodes at the top of the way that the first item at its end is now this one.
    fn set_first(&mut self, path: &Path, depth: usize, item: Item) {
        for depth in (0..depth).rev() {
            let (inner, child) = path.step(depth);
            self.inners[inner].set_key(child, item);
            if child > 0 {
                return;
            }
        }
    }

    /// Puts a new root above the root.
    fn grow_root(&mut self) {
        let first = if self.height == 0 { self.leaves[self.root].item(0) } else { self.inners[self.root].key(0) };
        let mut root = Inner::new();
        root.insert(0, first, self.root, self.len as u32);
        self.root = self.inners.add(root);
        self.height += 1;
    }

    /// Halves a full inner node below `parent`, which has room.
    fn split_inner(&mut self, parent: u32, child: usize) {
        let mut right = Inner::new();
        let full = self.inners[parent].children[child];
        self.inners[full].move_tail(INNER_CHILDREN / 2, &mut right);
        let (first, count) = (right.key(0), right.total());
        let right = self.inners.add(right);
        self.inners[parent].counts[child] -= count;
        self.inners[parent].insert(child + 1, first, right, count);
    }

    /// Makes room for one more item at `pos` of a full leaf whose parent has room; the place may move.
    fn make_room(&mut self, path: &mut Path, node: u32, pos: usize) -> (u32, usize) {
        let depth = path.len - 1;
        let (parent, child) = path.step(depth);
        let (prev, next) = (self.leaves[node].prev, self.leaves[node].next);
        if pos == 0 && prev == NIL {
            // The key is put right when the item is in, as for any insert at the front of a leaf.
            let fresh = self.leaves.add(Leaf::between(NIL, node));
            self.leaves[node].prev = fresh;
            let first = self.inners[parent].key(child);
            self.inners[parent].insert(child, first, fresh, 0);
            return (fresh, 0);
        }
        let appending = pos == LEAF_ITEMS && next == NIL;
        let room_worth_it = LEAF_ITEMS - LEAF_ITEMS / 8;
        if !appending && child > 0 && self.leaves[prev].len() < room_worth_it {
            let moved = (LEAF_ITEMS - self.leaves[prev].len()) / 2;
            let mut left = std::mem::take(&mut self.leaves[prev]);
            let left_len = left.len();
            self.leaves[node].move_head(moved, &mut left);
            self.leaves[prev] = left;
            let first = self.leaves[node].item(0);
            let inner = &mut self.inners[parent];
            inner.counts[child - 1] += moved as u32;
            inner.counts[child] -= moved as u32;
            inner.set_key(child, first);
            if pos <= moved {
                path.steps[depth].1 -= 1;
                return (prev, left_len + pos);
            }
            return (node, pos - moved);
        }
        let right_has_room =
            child + 1 < self.inners[parent].len() && next != NIL && self.leaves[next].len() < room_worth_it;
        let (right, moved) = if right_has_room {
            (next, (LEAF_ITEMS - self.leaves[next].len()) / 2)
        } else {
            let right = self.leaves.add(Leaf::between(node, next));
            self.leaves[node].next = right;
            if next != NIL {
                self.leaves[next].prev = right;
            }
            let first = self.inners[parent].key(child);
            self.inners[parent].insert(child + 1, first, right, 0);
            (right, if appending { 0 } else { LEAF_ITEMS / 2 })
        };
        let mut leaf = std::mem::take(&mut self.leaves[right]);
        self.leaves[node].move_tail(LEAF_ITEMS - moved, &mut leaf);
        self.leaves[right] = leaf;
        let inner = &mut self.inners[parent];
        inner.counts[child] -= moved as u32;
        inner.counts[child + 1] += moved as u32;
        if moved > 0 {
            inner.set_key(child + 1, self.leaves[right].item(0));
        }
        if pos <= LEAF_ITEMS - moved && moved > 0 {
            (node, pos)
        } else {
            path.steps[depth].1 += 1;
            (right, pos - (LEAF_ITEMS - moved))
        }
    }

    /// Takes `taken` items out of a leaf at `pos` and restores the invariants along the way to it.
    fn take_out(&mut self, path: &Path, node: u32, pos: usize, taken: usize) {
        self.len -= taken;
        if self.len == 0 {
            self.clear();
            return;
        }
        self.leaves[node].remove(pos, taken);
        for depth in 0..path.len {
            let (inner, child) = path.step(depth);
            self.inners[inner].counts[child] -= taken as u32;
        }
        let len = self.leaves[node].len();
        if len == 0 {
            self.remove_leaf(node);
            self.remove_child(path, path.len - 1);
        } else {
            if pos == 0 {
                let first = self.leaves[node].item(0);
                self.set_first(path, path.len, first);
            }
            if len < LEAF_ITEMS / 2 && path.len > 0 {
                self.merge_leaves(path);
            }
        }
        while self.height > 0 && self.inners[self.root].len() == 1 {
            let root = self.root;
            self.root = self.inners[root].children[0];
            self.inners.free(root);
            self.height -= 1;
        }
    }

    /// Unlinks and frees a leaf.
    fn remove_leaf(&mut self, node: u32) {
        let (prev, next) = (self.leaves[node].prev, self.leaves[node].next);
        if prev != NIL {
            self.leaves[prev].next = next;
        }
        if next != NIL {
            self.leaves[next].prev = prev;
        }
        self.leaves.free(node);
    }

    /// Takes the child at `depth` of the way (a node already freed) out of its parent, and what that leaves empty or scanty.
    fn remove_child(&mut self, path: &Path, depth: usize) {
        let (inner, child) = path.step(depth);
        self.inners[inner].remove(child);
        let len = self.inners[inner].len();
        if len == 0 {
            // The root never gets here: the tree would be empty, and that was seen to.
            self.inners.free(inner);
            self.remove_child(path, depth - 1);
            return;
        }
        if child == 0 {
            let first = self.inners[inner].key(0);
            self.set_first(path, depth, first);
        }
        if len < INNER_CHILDREN / 2 && depth > 0 {
            self.merge_inners(path, depth - 1);
        }
    }

    /// Two neighbours below a parent of which the first can take in the second; one of them is the child on the way.
    fn pair_to_merge(
        &self,
        path: &Path,
        depth: usize,
        len_of: impl Fn(&Self, u32) -> usize,
        max: usize,
    ) -> Option<usize> {
        let (parent, child) = path.step(depth);
        let inner = &self.inners[parent];
        let fits = |left: usize| {
            left + 1 < inner.len() && len_of(self, inner.children[left]) + len_of(self, inner.children[left + 1]) <= max
        };
        if fits(child) { Some(child) } else { child.checked_sub(1).filter(|&left| fits(left)) }
    }

    fn merge_leaves(&mut self, path: &Path) {
        let depth = path.len - 1;
        let max = LEAF_ITEMS - LEAF_ITEMS / 8;
        let Some(left) = self.pair_to_merge(path, depth, |tree, node| tree.leaves[node].len(), max) else { return };
        let (parent, _) = path.step(depth);
        let (into, from) = (self.inners[parent].children[left], self.inners[parent].children[left + 1]);
        let mut right = std::mem::take(&mut self.leaves[from]);
        let len = right.len();
        right.move_head(len, &mut self.leaves[into]);
        self.leaves[from] = right;
        self.remove_leaf(from);
        self.absorb(path, depth, left);
    }

    fn merge_inners(&mut self, path: &Path, depth: usize) {
        let max = INNER_CHILDREN - INNER_CHILDREN / 8;
        let Some(left) = self.pair_to_merge(path, depth, |tree, node| tree.inners[node].len(), max) else { return };
        let (parent, _) = path.step(depth);
        let (into, from) = (self.inners[parent].children[left], self.inners[parent].children[left + 1]);
        let mut right = std::mem::take(&mut self.inners[from]);
        right.move_tail(0, &mut self.inners[into]);
        self.inners.free(from);
        self.absorb(path, depth, left);
    }

    /// Drops the child right of `left`, whose items are in `left` now, from the parent at `depth` of the way.
    fn absorb(&mut self, path: &Path, depth: usize, left: usize) {
        let (parent, _) = path.step(depth);
        let inner = &mut self.inners[parent];
        inner.counts[left] += inner.counts[left + 1];
        inner.remove(left + 1);
        if inner.len() < INNER_CHILDREN / 2 && depth > 0 {
            self.merge_inners(path, depth - 1);
        }
    }
}

/// Items of a range of ranks, from either end. A step is an array access, rarely a jump to the next leaf.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    leaves: &'a Arena<Leaf>,
    front: (u32, usize),
    back: (u32, usize),
    left: usize,
}

impl Iterator for Iter<'_> {
    type Item = Item;

    #[inline]
    fn next(&mut self) -> Option<Item> {
        self.left = self.left.checked_sub(1)?;
        let (node, pos) = self.front;
        let leaf = &self.leaves[node];
        self.front = if pos + 1 < leaf.len() { (node, pos + 1) } else { (leaf.next, 0) };
        Some(leaf.item(pos))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Item> {
        self.left = self.left.checked_sub(1)?;
        let (node, pos) = self.back;
        let leaf = &self.leaves[node];
        self.back = match pos.checked_sub(1) {
            Some(pos) => (node, pos),
            None if leaf.prev == NIL => (NIL, 0),
            None => (leaf.prev, self.leaves[leaf.prev].len() - 1),
        };
        Some(leaf.item(pos))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
