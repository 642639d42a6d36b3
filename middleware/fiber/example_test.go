package fibergate_test

import (
	"fmt"
	"io"
	"net/http/httptest"

	"github.com/gofiber/fiber/v3"
	"github.com/remotedbg/remotedbg/gate"
	fibergate "github.com/remotedbg/remotedbg/middleware/fiber"
)

func Example() {
	app := fiber.New()
	app.Use(fibergate.New(new(gate.Gate))) // before all routes
	app.Get("/orders/:id", func(c fiber.Ctx) error {
		return c.SendString("order " + c.Params("id"))
	})

	resp, err := app.Test(httptest.NewRequest("GET", "/orders/7", nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: order 7
}

// With the middleware at the route, threads have the name of its pattern.
func ExampleNew_route() {
	app, gated := fiber.New(), fibergate.New(new(gate.Gate))
	app.Get("/orders/:id", gated, func(c fiber.Ctx) error {
		return c.SendString("order " + c.Params("id"))
	})

	resp, err := app.Test(httptest.NewRequest("GET", "/orders/7", nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: order 7
}
