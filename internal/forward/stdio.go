package forward

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/remotedbg/remotedbg/internal/door/opening"
)

// Stdio passes one IDE, which speaks DAP on in and out, on to the agent until either
// ends it. log gets lines for people; they must not go to out. The error is nil if
// the IDE or ctx ended it, or the session was over.
func Stdio(ctx context.Context, in io.Reader, out io.Writer, route Route, log func(string)) error {
	ide := newStreams(in, out)
	defer context.AfterFunc(ctx, func() { ide.PipeReader.CloseWithError(context.Cause(ctx)) })()
	agent, err := route.Dial(ctx)
	if err != nil {
		refuse(ide, opening.DAP, errorNoAgent, err)
		return err
	}
	log(fmt.Sprintf("connected to %s", route))
	err = relay(ctx, ide, agent, opening.DAP, func() {})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// streams makes a connection of the two standard streams. Close ends a Read at once;
// the read of the stream itself is left behind, for nothing interrupts it.
type streams struct {
	*io.PipeReader
	out io.Writer
}

func newStreams(in io.Reader, out io.Writer) *streams {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err) // nil: the end
	}()
	return &streams{r, out}
}

func (s *streams) Write(p []byte) (int, error) { return s.out.Write(p) }

func (s *streams) LocalAddr() net.Addr              { return stdioAddr{} }
func (s *streams) RemoteAddr() net.Addr             { return stdioAddr{} }
func (s *streams) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (s *streams) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *streams) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "stdio" }
