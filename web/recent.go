package web

import "container/list"

// recent is a table that forgets what was used longest ago: so what strangers can fill stays small.
// It is not safe for concurrent use.
type recent[K comparable, V any] struct {
	most  int
	order list.List // of *pair, the newest first
	at    map[K]*list.Element
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, at: make(map[K]*list.Element)}
}

// get finds a value, and counts as using it.
func (t *recent[K, V]) get(key K) (value V, ok bool) {
	e, ok := t.at[key]
	if !ok {
		return value, false
	}
	t.order.MoveToFront(e)
	return e.Value.(*pair[K, V]).value, true
}

// put stores the value of a key that is not there.
func (t *recent[K, V]) put(key K, value V) {
	t.at[key] = t.order.PushFront(&pair[K, V]{key, value})
	if t.order.Len() > t.most {
		t.remove(t.order.Back().Value.(*pair[K, V]).key)
	}
}

func (t *recent[K, V]) remove(key K) {
	if e, ok := t.at[key]; ok {
		t.order.Remove(e)
		delete(t.at, key)
	}
}

// find is get, and puts what a function makes where nothing is found.
func (t *recent[K, V]) find(key K, make func() V) V {
	value, ok := t.get(key)
	if !ok {
		value = make()
		t.put(key, value)
	}
	return value
}
