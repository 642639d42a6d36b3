//go:build linux && amd64

package invoke

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/constant"
	"math"
	"reflect"
	"unsafe"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
)

// argLoad is how an argument's expression is evaluated: what matters is where it
// is, but a string that has no place must be there whole.
var argLoad = proc.LoadConfig{FollowPointers: true, MaxVariableRecurse: 1, MaxStringLen: maxLiteral, MaxArrayValues: 0, MaxStructFields: -1}

// maxLiteral bounds a string that is made in the service, in bytes.
const maxLiteral = 64 << 10

func typeName(t godwarf.Type) string { return api.PrettyTypeName(t) }

func (env *Env) word(addr uint64) (uint64, error) {
	var buf [8]byte
	_, err := env.Target.Memory().ReadMemory(buf[:], addr)
	return binary.LittleEndian.Uint64(buf[:]), err
}

func intOf(v *proc.Variable) (int64, bool) {
	if v.Value == nil || v.Value.Kind() != constant.Int {
		return 0, false
	}
	if n, ok := constant.Int64Val(v.Value); ok {
		return n, true
	}
	u, ok := constant.Uint64Val(v.Value)
	return int64(u), ok
}

// memoryOf is where Delve reads v from: the service's memory, or for variables
// in registers, and in several places, what it has put together. It has no
// method for that, nor one for a variable's bytes.
func memoryOf(v *proc.Variable) proc.MemoryReadWriter {
	f := reflect.ValueOf(v).Elem().FieldByName("mem")
	if !f.IsValid() || f.Kind() != reflect.Interface {
		return nil
	}
	mem, _ := reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Interface().(proc.MemoryReadWriter)
	return mem
}

// isNil tells Delve's value for the word nil.
func isNil(v *proc.Variable) bool {
	return v.DwarfType == nil && v.Kind == reflect.Pointer && v.Addr == 0 && len(v.Children) == 1 && v.Children[0].Addr == 0
}

// isString tells strings that Delve has the text of and no place for: literals,
// conversions and sums.
func isMadeString(v *proc.Variable) bool {
	return v.Kind == reflect.String && v.Addr == 0 && v.Base == 0 && v.Value != nil
}

// bytesOf is a value as it lies in memory, t its type. Values without a place,
// constants and what was computed, are made.
func bytesOf(v *proc.Variable, t godwarf.Type) ([]byte, error) {
	if v.Unreadable != nil {
		return nil, v.Unreadable
	}
	size := t.Size()
	if v.Addr != 0 && v.Flags&proc.VariableConstant == 0 {
		buf := make([]byte, size)
		mem := memoryOf(v)
		if mem == nil {
			return nil, errors.New("its bytes cannot be read")
		}
		if _, err := mem.ReadMemory(buf, v.Addr); err != nil {
			return nil, err
		}
		return buf, nil
	}
	word := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	number := func(n uint64) []byte { return word(n)[:size] }
	switch godwarf.ResolveTypedef(t).(type) {
	case *godwarf.PtrType, *godwarf.MapType, *godwarf.ChanType:
		if v.Kind == reflect.Pointer && len(v.Children) == 1 { // &x, or a converted number
			return number(v.Children[0].Addr), nil
		}
	case *godwarf.SliceType:
		if v.Kind == reflect.Slice { // x[i:j]
			return append(append(word(v.Base), word(uint64(v.Len))...), word(uint64(v.Cap))...), nil
		}
	case *godwarf.StringType:
		if v.Kind == reflect.String && v.Base != 0 {
			return append(word(v.Base), word(uint64(v.Len))...), nil
		}
	case *godwarf.BoolType:
		if v.Value != nil && v.Value.Kind() == constant.Bool {
			if constant.BoolVal(v.Value) {
				return number(1), nil
			}
			return number(0), nil
		}
	case *godwarf.FloatType:
		if v.Value != nil {
			return floatBytes(constant.ToFloat(v.Value), size)
		}
	case *godwarf.ComplexType:
		if v.Value != nil {
			c := constant.ToComplex(v.Value)
			re, err1 := floatBytes(constant.Real(c), size/2)
			im, err2 := floatBytes(constant.Imag(c), size/2)
			return append(re, im...), errors.Join(err1, err2)
		}
	case *godwarf.IntType, *godwarf.CharType:
		if n, ok := exact(v); ok {
			if shift := 64 - 8*size; n.signed && n.bits<<shift>>shift == n.bits {
				return number(uint64(n.bits)), nil
			}
			return nil, fmt.Errorf("%s does not fit %s", v.Value, typeName(t))
		}
	case *godwarf.UintType, *godwarf.UcharType, *godwarf.AddrType:
		if n, ok := exact(v); ok {
			if u := uint64(n.bits); !n.negative && (size == 8 || u>>(8*size) == 0) {
				return number(u), nil
			}
			return nil, fmt.Errorf("%s does not fit %s", v.Value, typeName(t))
		}
	}
	return nil, fmt.Errorf("it cannot be made a %s", typeName(t))
}

// whole is an integer of at most 64 bits.
type whole struct {
	bits     int64
	signed   bool // fits int64
	negative bool
}

func exact(v *proc.Variable) (whole, bool) {
	if v.Value == nil {
		return whole{}, false
	}
	c := constant.ToInt(v.Value)
	if c.Kind() != constant.Int {
		return whole{}, false
	}
	if n, ok := constant.Int64Val(c); ok {
		return whole{n, true, n < 0}, true
	}
	u, ok := constant.Uint64Val(c)
	return whole{bits: int64(u)}, ok
}

func floatBytes(c constant.Value, size int64) ([]byte, error) {
	if c.Kind() != constant.Float && c.Kind() != constant.Int {
		return nil, errors.New("it is no number")
	}
	if size == 4 {
		f, _ := constant.Float32Val(c)
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(f)), nil
	}
	f, _ := constant.Float64Val(c)
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)), nil
}

// checkEscape refuses a pointer into the request's stack: the function may keep
// it for longer than the variable lives.
func (env *Env) checkEscape(data []byte, t godwarf.Type) error {
	list, err := pointers(t, 0, nil, 1<<16)
	if err != nil {
		return err
	}
	for _, off := range list {
		if p := binary.LittleEndian.Uint64(data[off:]); env.StackLo <= p && p < env.StackHi {
			return errOnStack
		}
	}
	return nil
}

var errOnStack = errors.New("it points to a variable on the request's stack, which the function could keep for longer than the variable lives")
