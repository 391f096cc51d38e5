package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"
)

// Each leak is a mistake of production code, in a function or type of its own name, so that a profile can point at it.

type workRequest struct {
	user      string
	number    uint64
	rateBytes uint64
	dice      *dice
}

var leaks = map[string]func(workRequest){
	"none":            func(workRequest) {},
	"goroutine":       waitForReservation,
	"unbounded-cache": rememberRecommendation,
	"session-map":     openSession,
	"timer-closure":   pollOrderForever,
	"slice-retain":    keepOrderNumber,
	"descriptor":      openConnection,
	"tiny-objects":    chainClicks,
}

func leakKinds() []string {
	kinds := []string{}
	for kind := range leaks {
		if kind != "none" {
			kinds = append(kinds, kind)
		}
	}
	sort.Strings(kinds)
	return append([]string{"none"}, kinds...)
}

// waitForReservation starts a worker that waits for an answer nobody sends; it holds its order for ever.
func waitForReservation(request workRequest) {
	answers := make(chan string)
	go reserveOrder(request.dice.touched(request.rateBytes), answers)
}

func reserveOrder(order []byte, answers <-chan string) {
	answer := <-answers
	copy(order, answer)
}

type cachedRecommendation struct {
	user  string
	texts []string
}

// recommendationCache is keyed by a revision that never comes again, and nothing ever evicts.
var recommendationCache = struct {
	sync.Mutex
	byKey map[string]*cachedRecommendation
}{byKey: map[string]*cachedRecommendation{}}

func rememberRecommendation(request workRequest) {
	entry := &cachedRecommendation{request.user, request.dice.texts(request.rateBytes)}
	recommendationCache.Lock()
	defer recommendationCache.Unlock()
	recommendationCache.byKey[fmt.Sprintf("%s@%d", request.user, request.number)] = entry
}

type userSession struct {
	user     string
	openedAt time.Time
	history  []string
}

// sessionStore opens a session for each request of a client that sends no cookie, without an end.
type sessionStore struct {
	mutex sync.Mutex
	byID  map[string]*userSession
}

var sessions = &sessionStore{byID: map[string]*userSession{}}

func openSession(request workRequest) {
	sessions.open(request)
}

func (s *sessionStore) open(request workRequest) {
	hash := sha1.Sum([]byte(fmt.Sprintf("%s/%d", request.user, request.number)))
	opened := &userSession{request.user, time.Now(), request.dice.texts(request.rateBytes)}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.byID[hex.EncodeToString(hash[:])] = opened
}

// pollOrderForever re-arms its own timer and keeps no handle to stop it.
func pollOrderForever(request workRequest) {
	armOrderPoll(request.dice.touched(request.rateBytes))
}

func armOrderPoll(order []byte) {
	time.AfterFunc(time.Minute, func() { armOrderPoll(order) })
}

// recentOrderNumbers keeps 16 bytes of each order document, and with them the whole array behind the slice.
var recentOrderNumbers = struct {
	sync.Mutex
	numbers [][]byte
}{}

func keepOrderNumber(request workRequest) {
	document := request.dice.touched(request.rateBytes)
	recentOrderNumbers.Lock()
	defer recentOrderNumbers.Unlock()
	recentOrderNumbers.numbers = append(recentOrderNumbers.numbers, document[:min(16, len(document))])
}

// lostConnections are those that nobody returns to their pool, each with the buffer that belongs to it.
var lostConnections = struct {
	sync.Mutex
	connections []lostConnection
}{}

type lostConnection struct {
	file   *os.File
	buffer []byte
}

func openConnection(request workRequest) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		return
	}
	lostConnections.Lock()
	defer lostConnections.Unlock()
	lostConnections.connections = append(lostConnections.connections, lostConnection{file, request.dice.touched(request.rateBytes)})
}

// tinyClick is one of millions of small objects instead of some large ones: each click knows the one before.
type tinyClick struct {
	before *tinyClick
	at     uint64
}

const tinyClickBytes = 16

var lastClick = struct {
	sync.Mutex
	click *tinyClick
}{}

func chainClicks(request workRequest) {
	lastClick.Lock()
	defer lastClick.Unlock()
	for left := request.rateBytes; left >= tinyClickBytes; left -= tinyClickBytes {
		lastClick.click = &tinyClick{lastClick.click, left}
	}
}
