package memory

import (
	"hash/maphash"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

// node is a treap that is never changed: a change copies the way to its place,
// so that whoever holds an older root goes on reading that. A nil node is empty.
// It is a search tree by key and a heap by priority, which keeps it balanced
// without any bookkeeping.
type node struct {
	key         string
	write       engine.Write
	priority    uint64
	left, right *node
}

// seed keeps priorities from depending on the keys alone.
var seed = maphash.MakeSeed()

func (n *node) find(key string) *node {
	for n != nil && n.key != key {
		if key < n.key {
			n = n.left
		} else {
			n = n.right
		}
	}
	return n
}

// with is the tree in which the key has that value. Its root is new.
func (n *node) with(key string, w engine.Write) *node {
	if n == nil {
		return &node{key: key, write: w, priority: maphash.String(seed, key)}
	}
	c := *n
	switch strings.Compare(key, n.key) {
	case 0:
		c.write = w
	case -1:
		child := n.left.with(key, w)
		if child.priority > c.priority {
			c.left, child.right = child.right, &c
			return child
		}
		c.left = child
	default:
		child := n.right.with(key, w)
		if child.priority > c.priority {
			c.right, child.left = child.left, &c
			return child
		}
		c.right = child
	}
	return &c
}

// without is the tree that does not have the key.
func (n *node) without(key string) *node {
	if n == nil {
		return nil
	}
	c := *n
	switch strings.Compare(key, n.key) {
	case 0:
		return join(n.left, n.right)
	case -1:
		if c.left = n.left.without(key); c.left == n.left {
			return n
		}
	default:
		if c.right = n.right.without(key); c.right == n.right {
			return n
		}
	}
	return &c
}

// join makes one tree of two, where all keys of a are smaller than those of b.
func join(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		c := *a
		c.right = join(a.right, b)
		return &c
	}
	c := *b
	c.left = join(a, b.left)
	return &c
}

// ascend calls f with the nodes from the key on, in order, until it returns false.
func (n *node) ascend(from string, f func(*node) bool) bool {
	if n == nil {
		return true
	}
	if n.key < from {
		return n.right.ascend(from, f)
	}
	return n.left.ascend(from, f) && f(n) && n.right.ascend(from, f)
}
