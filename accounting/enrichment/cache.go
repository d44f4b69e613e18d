package enrichment

import "sync"

// cache remembers results by text, within bounds: two generations, each at
// most entries texts and size bytes of text. A full young generation becomes
// the old one, and the old one is forgotten; what is asked for again moves
// back into the young one. The zero value is not usable.
type cache[V any] struct {
	entries, size int

	mu         sync.RWMutex
	young, old map[string]V
	bytes      int // of the young generation's texts
}

func newCache[V any](entries, size int) *cache[V] {
	return &cache[V]{entries: entries, size: size, young: map[string]V{}}
}

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.RLock()
	v, ok := c.young[key]
	if ok {
		c.mu.RUnlock()
		return v, true
	}
	v, ok = c.old[key]
	c.mu.RUnlock()
	if ok {
		c.put(key, v)
	}
	return v, ok
}

// put remembers v. It keeps a copy of the key, never the caller's memory.
func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.young[key]; ok {
		return
	}
	if len(c.young) >= c.entries || c.bytes+len(key) > c.size {
		c.old, c.young, c.bytes = c.young, make(map[string]V), 0
	}
	c.young[string([]byte(key))] = v
	c.bytes += len(key)
}

// len is the number of remembered texts, those of both generations twice.
func (c *cache[V]) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.young) + len(c.old)
}
