//go:build linux && amd64

package dlvrpc

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// matching is those of names that fit a filter, sorted, each once.
func matching(names []string, filter string) ([]string, error) {
	re, err := regexp.Compile(filter)
	if err != nil {
		return nil, wrap("filter", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !re.MatchString(n) })
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ListSources lists the source files of the binary.
func (s service) ListSources(arg rpc2.ListSourcesIn, out *rpc2.ListSourcesOut) (err error) {
	out.Sources, err = matching(s.sess.Sources(), arg.Filter)
	return err
}

// ListFunctions lists the functions of the binary.
func (s service) ListFunctions(arg rpc2.ListFunctionsIn, out *rpc2.ListFunctionsOut) error {
	if arg.FollowCalls > 0 {
		return refuse("trace --follow-calls", errors.New("each function below needs hardware breakpoints of its own, of which a thread has 4"))
	}
	var names []string
	err := s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		for i := range bi.Functions {
			names = append(names, bi.Functions[i].Name)
		}
		return nil
	})
	if err != nil {
		return wrap("functions", err)
	}
	out.Funcs, err = matching(names, arg.Filter)
	return err
}

// ListTypes lists the types of the binary.
func (s service) ListTypes(arg rpc2.ListTypesIn, out *rpc2.ListTypesOut) error {
	var names []string
	err := s.sess.Symbols(func(bi *proc.BinaryInfo) (err error) {
		names, err = bi.Types()
		names = slices.Clone(names)
		return err
	})
	if err != nil {
		return wrap("types", err)
	}
	out.Types, err = matching(names, arg.Filter)
	return err
}

// ListDynamicLibraries lists the shared objects that are known, the executable
// not among them.
func (s service) ListDynamicLibraries(_ rpc2.ListDynamicLibrariesIn, out *rpc2.ListDynamicLibrariesOut) error {
	return wrap("libraries", s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		out.List = []api.Image{}
		for i, image := range bi.Images {
			if i == 0 {
				out.ExecutableTrimpath = image.Trimpath
				continue
			}
			a := api.ConvertImage(image)
			a.Trimpath = image.Trimpath
			out.List = append(out.List, a)
		}
		return nil
	}))
}

// BuildID is that of the executable.
func (s service) BuildID(_ rpc2.BuildIDIn, out *rpc2.BuildIDOut) error {
	return wrap("build id", s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		out.BuildID = bi.Images[0].BuildID
		return nil
	}))
}

// LastModified is when the executable was written.
func (s service) LastModified(_ rpc2.LastModifiedIn, out *rpc2.LastModifiedOut) error {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/exe", s.cfg.PID)) // also if it was replaced on disk
	if err != nil {
		return wrap("last modified", err)
	}
	out.Time = info.ModTime()
	return nil
}

// FunctionReturnLocations finds the instructions at which a function returns.
func (s service) FunctionReturnLocations(arg rpc2.FunctionReturnLocationsIn, out *rpc2.FunctionReturnLocationsOut) error {
	return wrap("return locations", s.reader.Look(func(t *proc.Target) error {
		bi := t.BinInfo()
		fns, err := bi.FindFunction(arg.FnName)
		if err != nil {
			return err
		}
		for _, fn := range fns {
			code, err := proc.Disassemble(t.Memory(), nil, t.Breakpoints(), bi, fn.Entry, fn.End)
			if err != nil {
				return err
			}
			for _, inst := range code {
				deferred := inst.IsCall() && inst.DestLoc != nil && inst.DestLoc.Fn != nil && inst.DestLoc.Fn.Name == "runtime.deferreturn"
				if inst.IsRet() || deferred {
					out.Addrs = append(out.Addrs, inst.Loc.PC)
				}
			}
		}
		if len(out.Addrs) == 0 {
			return fmt.Errorf("function %s does not return", arg.FnName)
		}
		return nil
	}))
}

// TypeInfo describes a type by its name.
func (s service) TypeInfo(arg rpc2.TypeInfoIn, out *rpc2.TypeInfoOut) error {
	return wrap("type", s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		typ, err := bi.FindType(arg.Name)
		if err != nil {
			return err
		}
		info := &api.TypeInfo{Kind: typ.Common().ReflectKind, Size: typ.Common().Size()}
		switch typ := typ.(type) {
		case *godwarf.StructType:
			for _, f := range typ.Field {
				info.Fields = append(info.Fields, api.TypeInfoField{Name: f.Name, Type: f.Type.String()})
			}
		case *godwarf.TypedefType:
			info.RealType = typ.Type.String()
		}
		value, pointer := arg.Name+".", ""
		if dot := strings.LastIndexByte(arg.Name, '.'); dot > 0 {
			pointer = arg.Name[:dot] + ".(*" + arg.Name[dot+1:] + ")."
		}
		for i := range bi.Functions {
			name := bi.Functions[i].Name
			if strings.HasPrefix(name, value) || pointer != "" && strings.HasPrefix(name, pointer) {
				info.Methods = append(info.Methods, api.TypeInfoMethod{Name: name})
			}
		}
		out.TypeInfo = info
		return nil
	}))
}
