package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// MinSecret is how long a secret must be to be known by its content: of
	// shorter ones every text has some.
	MinSecret = 6
	// chunk is how a longer secret is cut, so that a part of it is known as well,
	// and so that looking for it needs no more than this beside a place.
	chunk = 192
	// maxSecret bounds one secret, in bytes.
	maxSecret = 16 << 10
	// maxSecrets bounds how many contents are known; the oldest goes.
	maxSecrets = 4096
)

// Margin is how many bytes around a place decide what [Secrets.Find] says of it.
const Margin = chunk

// Secrets are those that are known by their content. Its methods may be called
// from any goroutine.
type Secrets struct {
	mu    sync.RWMutex
	known map[string]bool     // content: whether it is hidden for ever
	first map[[4]byte][]uint8 // by how contents begin: their lengths, the longest first
	begin pairs               // the first two bytes
	order []string
	gen   int // grows with each content
}

// Add makes a content known, with the forms in which texts commonly carry it.
// forever marks what is hidden also from those for whom redaction is lifted.
func (s *Secrets) Add(content string, forever bool) {
	content = content[:min(len(content), maxSecret)]
	if !worth(content) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, ok := s.known[content]; ok && (had || !forever) {
		return
	}
	s.add(content, forever)
	for _, form := range forms(content) {
		s.add(form, forever)
	}
}

// worth tells what can be looked for without finding it everywhere.
func worth(content string) bool {
	if len(content) < MinSecret {
		return false
	}
	var seen [256]bool
	different := 0
	for i := range len(content) {
		if !seen[content[i]] {
			seen[content[i]] = true
			different++
		}
	}
	if different < 3 {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(content)) {
	case "bearer", "basic", "digest", "authorization", "cookie", "password", "secret", "session", "token", Mark:
		return false
	}
	return true
}

// forms are what encoders make of a secret.
func forms(content string) []string {
	list := []string{url.QueryEscape(content), url.PathEscape(content), hex.EncodeToString([]byte(content))}
	quoted := strconv.Quote(content)
	list = append(list, quoted[1:len(quoted)-1])
	if js, err := json.Marshal(content); err == nil {
		list = append(list, string(js[1:len(js)-1]))
	}
	// In base64 three bytes are four characters, so it depends on what comes
	// before. What overlaps with that is left out.
	for shift := range 3 {
		b := append(make([]byte, shift), content...)
		whole := len(b) - len(b)%3
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			e := enc.EncodeToString(b[:whole])
			if skip := (shift*8 + 5) / 6; len(e) > skip {
				list = append(list, e[skip:])
			}
		}
	}
	return list
}

// add is Add for one form. Called under mu.
func (s *Secrets) add(content string, forever bool) {
	for start := 0; start < len(content); start += chunk / 2 {
		part := content[start:min(len(content), start+chunk)]
		if len(part) < MinSecret || start > 0 && len(part) <= chunk/2 {
			break // the one before has it
		}
		s.addPart(strings.Clone(part), forever)
	}
}

func (s *Secrets) addPart(part string, forever bool) {
	if !worth(part) {
		return
	}
	if had, ok := s.known[part]; ok {
		if forever && !had {
			s.known[part] = true
			s.gen++ // those for whom redaction is lifted know more now
		}
		return
	}
	if len(s.order) >= maxSecrets {
		s.forget()
	}
	if s.known == nil {
		s.known, s.first = make(map[string]bool), make(map[[4]byte][]uint8)
	}
	s.known[part] = forever
	s.order = append(s.order, part)
	s.gen++
	// The tokens of a service begin alike, so that it is their lengths which are
	// few and not they themselves.
	key := [4]byte([]byte(part[:4]))
	lengths := s.first[key]
	if i, ok := slices.BinarySearchFunc(lengths, uint8(len(part)), func(a, b uint8) int { return cmp.Compare(b, a) }); !ok {
		s.first[key] = slices.Insert(lengths, i, uint8(len(part)))
	}
	s.begin.add(part[0], part[1])
}

// forget drops the older half. Those that are hidden for ever stay.
func (s *Secrets) forget() {
	old := s.order
	known := s.known
	s.order, s.known, s.first, s.begin = nil, nil, nil, pairs{}
	kept := 0
	for i, part := range old {
		if i < len(old)/2 && (!known[part] || kept >= maxSecrets/4) {
			continue
		}
		kept++
		s.addPart(part, known[part])
	}
}

// Len is how many contents are known, with their forms.
func (s *Secrets) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.order)
}

// Generation changes when more is known.
func (s *Secrets) Generation() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.gen
}

// Find returns where text has a known secret, sorted and apart; with lifted only
// those that are hidden for ever.
func (s *Secrets) Find(text []byte, lifted bool) []Span {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.order) == 0 {
		return nil
	}
	var spans []Span
	for i := 0; i+MinSecret <= len(text); i++ {
		if !s.begin.has(text[i], text[i+1]) {
			continue
		}
		for _, n := range s.first[[4]byte(text[i:i+4])] {
			end := i + int(n)
			if end > len(text) {
				continue
			}
			if forever, ok := s.known[string(text[i:end])]; ok && (forever || !lifted) {
				spans = append(spans, Span{i, end})
				break
			}
		}
	}
	return merge(spans)
}

// Scrub returns text with the known secrets replaced by [Mark].
func (s *Secrets) Scrub(text string, lifted bool) string {
	return replace(text, s.Find([]byte(text), lifted))
}
