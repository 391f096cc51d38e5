package main

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand"
	"sort"
	"sync"
	"time"
)

const (
	// Entries of the page cache, about 16 KiB each, so 4 MiB when full. Full: the oldest entry is evicted.
	pageCacheEntries = 256
	// Distinct carts that are asked for; far more than the cache holds, so that it fills and then evicts.
	cartRevisions   = 4096
	cartLines       = 48
	sessionTTL      = 10 * time.Second
	requestDeadline = 5 * time.Second
)

// dice gives random numbers and texts of one seed, safe to share between goroutines.
type dice struct {
	mutex   sync.Mutex
	random  *rand.Rand
	letters []byte
}

func newDice(seed uint64) *dice {
	random := rand.New(rand.NewSource(int64(seed)))
	letters := make([]byte, 256*kib)
	for index := range letters {
		letters[index] = byte('a' + random.Intn(26))
	}
	return &dice{random: random, letters: letters}
}

func (d *dice) below(limit int) int {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.random.Intn(limit)
}

// text is a new string of its own memory.
func (d *dice) text(length int) string {
	start := d.below(len(d.letters) - length)
	return string(d.letters[start : start+length])
}

// texts is about n bytes of strings of at most 1 KiB each.
func (d *dice) texts(n uint64) []string {
	texts := make([]string, 0, n/kib+1)
	for ; n > 0; n -= min(n, kib) {
		texts = append(texts, d.text(int(min(n, kib))))
	}
	return texts
}

// touched is n bytes in one block, every one of them written, so that they are resident.
func (d *dice) touched(n uint64) []byte {
	block := make([]byte, n)
	for start := 0; start < len(block); start += len(d.letters) {
		copy(block[start:], d.letters)
	}
	return block
}

type cartLine struct {
	Sku      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
	Note     string `json:"note"`
}

type cart struct {
	User  string     `json:"user"`
	Lines []cartLine `json:"lines"`
	Total int        `json:"total"`
}

func buildCart(dice *dice, user string) cart {
	lines := make([]cartLine, cartLines)
	total := 0
	for index := range lines {
		lines[index] = cartLine{fmt.Sprintf("sku-%d", dice.below(100_000)), 1 + dice.below(9), dice.below(50_000), dice.text(240)}
		total += lines[index].Cents * lines[index].Quantity
	}
	sort.Slice(lines, func(a, b int) bool { return lines[a].Cents*lines[a].Quantity > lines[b].Cents*lines[b].Quantity })
	return cart{user, lines, total}
}

func renderCart(cart cart) string {
	var page bytes.Buffer
	fmt.Fprintf(&page, "<h1>%s</h1><table>", html.EscapeString(cart.User))
	for _, line := range cart.Lines {
		fmt.Fprintf(&page, "<tr><td>%s</td><td>%d</td><td>%.2f</td><td>%s</td></tr>\n", line.Sku, line.Quantity, float64(line.Cents)/100, line.Note)
	}
	page.WriteString("</table>")
	return page.String()
}

// boundedPageCache holds pages by recency and evicts the oldest beyond its capacity.
type boundedPageCache struct {
	mutex    sync.Mutex
	capacity int
	byKey    map[string]*list.Element
	recent   *list.List
}

type cachedPage struct{ key, page string }

func newBoundedPageCache(capacity int) *boundedPageCache {
	return &boundedPageCache{capacity: capacity, byKey: map[string]*list.Element{}, recent: list.New()}
}

func (c *boundedPageCache) getOrRender(key string, cart cart) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if element, cached := c.byKey[key]; cached {
		c.recent.MoveToFront(element)
		return element.Value.(cachedPage).page
	}
	page := renderCart(cart)
	c.byKey[key] = c.recent.PushFront(cachedPage{key, page})
	if c.recent.Len() > c.capacity {
		oldest := c.recent.Remove(c.recent.Back()).(cachedPage)
		delete(c.byKey, oldest.key)
	}
	return page
}

type session struct {
	lastSeen time.Time
	skus     []string
	total    int
}

// expiringSessions end sessionTTL after their last request.
type expiringSessions struct {
	mutex  sync.Mutex
	byUser map[string]session
	swept  time.Time
}

func (s *expiringSessions) touch(cart cart, now time.Time) {
	skus := make([]string, len(cart.Lines))
	for index, line := range cart.Lines {
		skus[index] = line.Sku
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.byUser[cart.User] = session{now, skus, cart.Total}
	if now.Sub(s.swept) < time.Second {
		return
	}
	s.swept = now
	for user, session := range s.byUser {
		if now.Sub(session.lastSeen) > sessionTTL {
			delete(s.byUser, user)
		}
	}
}

// priceBus calls its listeners; whoever adds one has to remove it.
type priceBus struct {
	mutex     sync.Mutex
	next      int
	listeners map[int]func(sku string)
}

func (b *priceBus) add(listener func(sku string)) (remove func()) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.next++
	number := b.next
	b.listeners[number] = listener
	return func() {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		delete(b.listeners, number)
	}
}

// shop serves carts; everything a request registers it also removes, whatever happens in between.
type shop struct {
	dice     *dice
	pages    *boundedPageCache
	sessions *expiringSessions
	bus      *priceBus
}

func newShop(dice *dice) *shop {
	return &shop{
		dice:     dice,
		pages:    newBoundedPageCache(pageCacheEntries),
		sessions: &expiringSessions{byUser: map[string]session{}},
		bus:      &priceBus{listeners: map[int]func(string){}},
	}
}

type reply struct {
	User     string `json:"user"`
	Items    int    `json:"items"`
	Total    int    `json:"total"`
	Repriced bool   `json:"repriced"`
	Etag     string `json:"etag"`
	Bytes    int    `json:"bytes"`
}

func (s *shop) serve(user string) (reply, error) {
	repriced := false
	defer s.bus.add(func(string) { repriced = true })()
	deadline := time.AfterFunc(requestDeadline, func() {})
	defer deadline.Stop()
	cart := buildCart(s.dice, user)
	s.sessions.touch(cart, time.Now())
	page := s.pages.getOrRender(fmt.Sprintf("cart-%d", s.dice.below(cartRevisions)), cart)
	document, err := json.Marshal(cart)
	if err != nil {
		return reply{}, err
	}
	hash := sha256.Sum256(append(document, page...))
	return reply{user, len(cart.Lines), cart.Total, repriced, hex.EncodeToString(hash[:]), len(page)}, nil
}
