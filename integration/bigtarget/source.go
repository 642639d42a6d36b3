//go:build linux

package main

import (
	"fmt"
	"strings"
)

// mainSource is the service: it answers orders with what a generated package
// makes of them.
func mainSource(packages int) string {
	var imports, list strings.Builder
	for p := range packages {
		name := packageName(p)
		fmt.Fprintf(&imports, "\t\"example.com/bigtarget/api/%s\"\n", name)
		fmt.Fprintf(&list, "\t{%s.All, %s.Total},\n", name, name)
	}
	return strings.NewReplacer("//IMPORTS\n", imports.String(), "//LIST\n", list.String()).Replace(mainTemplate)
}

const mainTemplate = `// Command bigtarget is generated.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"strconv"

	"github.com/remotedbg/remotedbg/middleware"

//IMPORTS
	"example.com/bigtarget/wire"
)

var services = []struct {
	all   func() []wire.Message
	total func() int64
}{
//LIST
}

type order struct {
	ID    int
	Label string
	Items []wire.Message
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bigtarget:", err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", orders)
	mux.HandleFunc("GET /call/{name}", call)
	fmt.Printf("bigtarget listening on %s\n", ln.Addr())
	srv := &http.Server{Handler: middleware.Handler(mux)}
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "bigtarget:", err)
		os.Exit(1)
	}
}

func orders(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id")) //bp:order-entry
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o := load(id)
	label := o.Label + "/" + strconv.Itoa(len(o.Items)) //bp:order-loaded
	w.Header().Set("X-Order", label)                    //bp:order-priced
	fmt.Fprintln(w, label)
}

//go:noinline
func load(id int) *order {
	s := services[id%len(services)]
	return &order{ID: id, Label: "order-" + strconv.Itoa(id), Items: s.all()} //bp:load
}

// call runs a method by its name: with this in the program the linker keeps
// every exported method, as it does in services that use text/template.
func call(w http.ResponseWriter, r *http.Request) {
	n := services[0].total()
	for _, m := range services[0].all() {
		if f := reflect.ValueOf(m).MethodByName(r.PathValue("name")); f.IsValid() {
			n++
		}
	}
	for _, s := range services {
		n += s.total()
	}
	fmt.Fprintln(w, n)
}
`

// wireSource is what the generated messages have in common.
const wireSource = `// Package wire encodes values.
package wire

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"sort"
)

// Message is what every generated type is.
type Message interface {
	Reset()
	String() string
	Marshal([]byte) ([]byte, error)
	Unmarshal([]byte) error
}

var errShort = errors.New("message is cut off")

func Tag(b []byte) (int, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errShort
	}
	return int(v), b[n:], nil
}

func PutBytes(b []byte, tag int, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(tag))
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func TakeBytes(b []byte) ([]byte, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || uint64(len(b)-n) < v {
		return nil, nil, errShort
	}
	return b[n : n+int(v)], b[n+int(v):], nil
}

func SameBytes(a, b []byte) bool { return slices.Equal(a, b) }

func PutString(b []byte, tag int, v string) []byte { return PutBytes(b, tag, []byte(v)) }

func TakeString(b []byte) (string, []byte, error) {
	v, rest, err := TakeBytes(b)
	return string(v), rest, err
}

func SameString(a, b string) bool { return a == b }

func PutInt(b []byte, tag int, v int64) []byte {
	return binary.AppendVarint(binary.AppendUvarint(b, uint64(tag)), v)
}

func TakeInt(b []byte) (int64, []byte, error) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, errShort
	}
	return v, b[n:], nil
}

func SameInt(a, b int64) bool { return a == b }

func PutBool(b []byte, tag int, v bool) []byte {
	if v {
		return PutInt(b, tag, 1)
	}
	return PutInt(b, tag, 0)
}

func TakeBool(b []byte) (bool, []byte, error) {
	v, rest, err := TakeInt(b)
	return v != 0, rest, err
}

func SameBool(a, b bool) bool { return a == b }

func PutFloat(b []byte, tag int, v float64) []byte { return PutInt(b, tag, int64(math.Float64bits(v))) }

func TakeFloat(b []byte) (float64, []byte, error) {
	v, rest, err := TakeInt(b)
	return math.Float64frombits(uint64(v)), rest, err
}

func SameFloat(a, b float64) bool { return a == b }

func PutStrings(b []byte, tag int, v []string) []byte {
	b = PutInt(b, tag, int64(len(v)))
	for _, s := range v {
		b = PutString(b, tag, s)
	}
	return b
}

func TakeStrings(b []byte) (v []string, rest []byte, err error) {
	n, b, err := TakeInt(b)
	for ; err == nil && n > 0; n-- {
		var s string
		s, b, err = TakeString(b)
		v = append(v, s)
	}
	return v, b, err
}

func SameStrings(a, b []string) bool { return slices.Equal(a, b) }

func PutCounts(b []byte, tag int, v map[string]int64) []byte {
	b = PutInt(b, tag, int64(len(v)))
	for _, k := range slices.Sorted(maps.Keys(v)) {
		b = PutInt(PutString(b, tag, k), tag, v[k])
	}
	return b
}

func TakeCounts(b []byte) (v map[string]int64, rest []byte, err error) {
	n, b, err := TakeInt(b)
	v = make(map[string]int64)
	for ; err == nil && n > 0; n-- {
		var k string
		if k, b, err = TakeString(b); err == nil {
			v[k], b, err = TakeInt(b)
		}
	}
	return v, b, err
}

func SameCounts(a, b map[string]int64) bool { return maps.Equal(a, b) }

// Cache keeps the order in which entries came.
type Cache[K comparable, V any] struct {
	order  []K
	values map[K]V
}

func (c *Cache[K, V]) Put(k K, v V) {
	if c.values == nil {
		c.values = make(map[K]V)
	}
	if _, have := c.values[k]; !have {
		c.order = append(c.order, k)
	}
	c.values[k] = v
}

func (c *Cache[K, V]) Get(k K) (V, bool) {
	v, have := c.values[k]
	return v, have
}

func (c *Cache[K, V]) Len() int { return len(c.order) }

func Filter[T any](list []T, keep func(T) bool) []T {
	var kept []T
	for _, x := range list {
		if keep(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

func Map[T, U any](list []T, f func(T) U) []U {
	made := make([]U, 0, len(list))
	for _, x := range list {
		made = append(made, f(x))
	}
	return made
}

func GroupBy[K interface{ ~string }, V any](list []V, key func(V) K) *Cache[K, []V] {
	c := new(Cache[K, []V])
	for _, x := range list {
		k := key(x)
		old, _ := c.Get(k)
		c.Put(k, append(old, x))
	}
	sort.Slice(c.order, func(i, j int) bool { return c.order[i] < c.order[j] })
	return c
}

func Sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}
`
