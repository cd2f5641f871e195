//! The tree against a sorted vector.
//!
//! Owns: its invariants, checked from the root down by [`check`]. Refuses to know: sorted sets. Start at [`run`].

use super::*;
use crate::types::testing::Random;

fn order(a: Item, b: Item) -> Ordering {
    a.score.partial_cmp(&b.score).expect("no NaN").then(a.id.cmp(&b.id))
}

fn to(target: Item) -> impl FnMut(f64, u32) -> Ordering + Copy {
    move |score, id| order(Item { score, id }, target)
}

/// First item, count and depth of a subtree, all of it checked.
fn check_node(tree: &Tree, node: u32, level: usize, leaves: &mut Vec<u32>) -> (Item, usize) {
    if level == 0 {
        leaves.push(node);
        let leaf = &tree.leaves[node];
        assert!(leaf.len() > 0);
        return (leaf.item(0), leaf.len());
    }
    let inner = &tree.inners[node];
    assert!(inner.len() > 0);
    let mut total = 0;
    for child in 0..inner.len() {
        let (first, count) = check_node(tree, inner.children[child], level - 1, leaves);
        assert_eq!((inner.key(child), inner.counts[child] as usize), (first, count));
        total += count;
    }
    (inner.key(0), total)
}

fn check(tree: &Tree, model: &[Item]) {
    assert_eq!(tree.len(), model.len());
    assert!(tree.range(0..model.len()).eq(model.iter().copied()));
    assert!(tree.range(0..model.len()).rev().eq(model.iter().rev().copied()));
    if model.is_empty() {
        assert_eq!((tree.leaves.slots(), tree.inners.slots(), tree.heap_bytes()), (0, 0, 0));
        return;
    }
    let mut leaves = Vec::new();
    assert_eq!(check_node(tree, tree.root, tree.height, &mut leaves).1, model.len());
    for (at, &leaf) in leaves.iter().enumerate() {
        let neighbour = |at: Option<usize>| at.and_then(|at| leaves.get(at)).copied().unwrap_or(NIL);
        assert_eq!(tree.leaves[leaf].prev, neighbour(at.checked_sub(1)));
        assert_eq!(tree.leaves[leaf].next, neighbour(Some(at + 1)));
    }
}

fn place(model: &[Item], item: Item) -> Result<usize, usize> {
    model.binary_search_by(|stored| order(*stored, item))
}

/// Random operations that grow the tree to about `size`, then let it shrink, then grow again.
fn run(seed: u64, size: usize, scores: u64, steps: usize) {
    let mut random = Random::new(seed);
    let mut tree = Tree::new();
    let mut model: Vec<Item> = Vec::new();
    let mut next_id = 0;
    for step in 0..steps {
        let growing = (step / (size * 2)).is_multiple_of(2);
        let inserts = if growing { 70 } else { 30 };
        let dice = random.below(100);
        if dice < inserts {
            next_id += 1;
            let item =
                Item { score: random.below(scores) as f64 - 5.0, id: (next_id as u32).wrapping_mul(0x9E37_79B1) };
            let at = place(&model, item).expect_err("ids are distinct");
            tree.insert(item.score, item.id, to(item));
            model.insert(at, item);
        } else if dice < 97 {
            let absent = Item { score: 0.5, id: 1 };
            assert_eq!(tree.remove(to(absent)), None);
            if let Some(at) = random.index(model.len()) {
                let item = model[at];
                assert_eq!(tree.rank_of(to(item)), Some(at));
                assert_eq!(tree.nth(at), Some(item));
                assert_eq!(tree.remove(to(item)), Some(item));
                model.remove(at);
            }
        } else if dice < 98 {
            let start = random.below(model.len() as u64 + 1) as usize;
            let end = (start + random.below(300) as usize).min(model.len() + 3);
            let mut removed = Vec::new();
            tree.remove_range(start..end, |item| removed.push(item));
            let expected: Vec<Item> = model.drain(start..end.min(model.len())).collect();
            assert_eq!(removed, expected);
        } else if let Some(at) = random.index(model.len()) {
            let item = model[at];
            let renamed = Item { id: item.id, score: item.score + random.below(3) as f64 / 4.0 };
            let stays = (at == 0 || order(model[at - 1], renamed) == Ordering::Less)
                && (at + 1 == model.len() || order(model[at + 1], renamed) == Ordering::Greater);
            let rescored = tree.rescore(renamed.score, to(item), to(renamed));
            assert!(stays || !rescored, "a move is refused");
            if rescored {
                model[at] = renamed;
            }
        }
        if step % (size / 2).max(1) == 0 {
            check(&tree, &model);
            let start = random.below(model.len() as u64 + 1) as usize;
            let end = (start + random.below(200) as usize).min(model.len());
            assert!(tree.range(start..end).eq(model[start..end].iter().copied()));
            let bound = random.below(scores) as f64 - 5.0;
            assert_eq!(
                tree.rank_where(|score, _| score < bound),
                model.iter().filter(|item| item.score < bound).count()
            );
            assert_eq!(tree.nth(model.len()), None);
        }
    }
    check(&tree, &model);
    while !tree.is_empty() {
        let end = (random.below(50) as usize + 1).min(model.len());
        let start = random.below(2) as usize * (model.len() - end);
        tree.remove_range(start..start + end, |_| {});
        model.drain(start..start + end);
    }
    check(&tree, &model);
}

#[test]
fn it_agrees_with_a_sorted_vector() {
    run(1, 40, 10, 4_000);
    run(2, 300, 1_000, 20_000);
    run(3, 8_000, 1 << 40, 80_000);
    run(4, 3_000, 3, 40_000);
}

#[test]
fn three_levels_of_inner_nodes_come_and_go() {
    let mut tree = Tree::new();
    let count = 200_000;
    for id in 0..count {
        let item = Item { score: f64::from(id % 1_000), id };
        tree.insert(item.score, id, to(item));
    }
    assert_eq!(tree.height, 3);
    let mut model: Vec<Item> = (0..count).map(|id| Item { score: f64::from(id % 1_000), id }).collect();
    model.sort_by(|a, b| order(*a, *b));
    check(&tree, &model);
    tree.remove_range(10..model.len() - 10, |_| {});
    model.drain(10..model.len() - 10);
    check(&tree, &model);
    assert_eq!(tree.height, 0);
}

#[test]
fn sequential_inserts_leave_full_leaves_and_random_ones_nearly_so() {
    for (what, limit) in [("up", 13.0), ("down", 13.0), ("random", 16.0)] {
        let mut tree = Tree::new();
        let mut random = Random::new(7);
        let count = 100_000;
        for id in 0..count {
            let score = match what {
                "up" => f64::from(id),
                "down" => -f64::from(id),
                _ => random.below(1 << 50) as f64,
            };
            tree.insert(score, id, to(Item { score, id }));
        }
        let bytes_per_item = tree.leaves.slots() as f64 * size_of::<Leaf>() as f64 / f64::from(count);
        assert!(bytes_per_item < limit, "{what}: {bytes_per_item} bytes per item");
    }
}

#[test]
fn an_id_can_be_changed_where_it_stands() {
    let mut tree = Tree::new();
    let ids: Vec<u32> = (0..5_000).map(|id| id * 2).collect();
    let mut model = Vec::new();
    for &id in &ids {
        tree.insert(1.0, id, to(Item { score: 1.0, id }));
        model.push(Item { score: 1.0, id });
    }
    for item in &mut model {
        assert!(tree.set_id(item.id + 1, to(*item)));
        item.id += 1;
    }
    assert!(!tree.set_id(1, to(Item { score: 1.0, id: 0 })));
    check(&tree, &model);
}

#[test]
fn a_tree_is_thrown_away_in_slices() {
    let mut tree = Tree::new();
    for id in 0..10_000 {
        tree.insert(0.0, id, to(Item { score: 0.0, id }));
    }
    let mut slices = 1;
    while tree.dismantle(10) > 0 {
        slices += 1;
    }
    assert!(slices >= 16, "{slices} slices");
}
