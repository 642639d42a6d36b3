// Command fiber is an example service on Fiber: the gate is in front of the
// route's handler, so that the pattern is known when it is asked.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/remotedbg/remotedbg/gate"
	fibergate "github.com/remotedbg/remotedbg/middleware/fiber"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	const limit = 2 * time.Second // a frozen request must outlive it
	app := fiber.New(fiber.Config{ReadTimeout: limit, WriteTimeout: limit})
	app.Use(recover.New())
	app.Get("/orders/:id", fibergate.New(new(gate.Gate)), order)
	app.Get("/panics/:id", fibergate.New(new(gate.Gate)), unlucky)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("shop listening on %s\n", ln.Addr())
	return app.Listener(ln, fiber.ListenConfig{
		DisableStartupMessage: true, GracefulContext: ctx, ShutdownTimeout: 5 * time.Second,
	})
}

// order answers with the price of an order.
func order(c fiber.Ctx) error {
	id, err := strconv.Atoi(c.Params("id")) //bp:order-entry
	if err != nil {
		return fiber.NewError(fiber.StatusBadRequest, err.Error())
	}
	total := price(id)                                       //bp:order-price
	return c.JSON(fiber.Map{"id": id, "total_cents": total}) //bp:order-priced
}

//go:noinline
func price(id int) int {
	return id*100 + 99 //bp:price
}

// unlucky panics with an error of its own.
func unlucky(c fiber.Ctx) error {
	id := c.Params("id")
	panic(fmt.Errorf("order %s is unlucky", id)) //bp:unlucky
}
