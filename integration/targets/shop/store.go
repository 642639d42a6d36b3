package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors of the domain.
var (
	ErrNotFound = errors.New("not found")
	ErrBadID    = errors.New("bad id")
)

// Customer placed an order.
type Customer struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Item is one line of an order. Prices are in cents.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"`
}

// Payment is how an order is paid for.
type Payment interface {
	Describe() string
}

// Card is a Payment.
type Card struct {
	Brand string `json:"brand"`
	Last4 string `json:"last4"`
}

// Describe implements Payment.
func (c Card) Describe() string { return c.Brand + " ending in " + c.Last4 }

// Invoice is a Payment.
type Invoice struct {
	Days int `json:"days"`
}

// Describe implements Payment.
func (i *Invoice) Describe() string { return fmt.Sprintf("invoice, %d days", i.Days) }

// DeliveryError is why the last attempt to deliver an order failed.
type DeliveryError struct {
	Carrier string
	Code    int
	Cause   error
}

func (e *DeliveryError) Error() string {
	return fmt.Sprintf("%s refused delivery (%d): %v", e.Carrier, e.Code, e.Cause)
}

func (e *DeliveryError) Unwrap() error { return e.Cause }

// Order has a field of each kind that a debugger has to show.
type Order struct {
	ID         int               `json:"id"`
	Customer   *Customer         `json:"customer"`
	Items      []Item            `json:"items"`
	Attributes map[string]string `json:"attributes"`
	Payment    Payment           `json:"payment"`
	Placed     time.Time         `json:"placed"`
	Delivery   error             `json:"-"` // nil unless the last attempt failed
	Note       *string           `json:"note,omitempty"`
}

// store is the repository: orders in memory.
type store struct {
	mu     sync.RWMutex
	orders map[int]*Order
	finds  int
}

// newStore returns a store with the orders 1 to 20.
func newStore() *store {
	s := &store{orders: make(map[int]*Order)}
	for id := 1; id <= 20; id++ {
		s.orders[id] = makeOrder(id)
	}
	return s
}

func makeOrder(id int) *Order {
	names := []string{"Ada", "Grace", "Edsger", "Barbara", "Tony"}
	name := names[id%len(names)]
	o := &Order{
		ID:         id,
		Customer:   &Customer{ID: 100 + id, Name: name, Email: fmt.Sprintf("%s.%d@example.com", name, id)},
		Items:      []Item{{SKU: fmt.Sprintf("book-%02d", id), Quantity: 1, Cents: 1995}},
		Attributes: map[string]string{"channel": "web"},
		Payment:    Card{Brand: "visa", Last4: fmt.Sprintf("%04d", 4000+id)},
		Placed:     time.Date(2024, time.March, id, 12, 30, 0, 0, time.UTC),
	}
	if id%7 == 0 {
		note := "leave at the door"
		o.Note = &note
		o.Items = append(o.Items,
			Item{SKU: "pen-blue", Quantity: 12, Cents: 149},
			Item{SKU: "lamp", Quantity: 2, Cents: 4900})
		o.Attributes["priority"] = "high"
		o.Attributes["gift"] = "yes"
		o.Payment = &Invoice{Days: 30}
		o.Delivery = &DeliveryError{Carrier: "postal", Code: 17, Cause: errors.New("nobody at home")}
	}
	return o
}

// Find returns the order with the given id, or an error that wraps ErrNotFound.
//
//go:noinline
func (s *store) Find(ctx context.Context, id int) (*Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("find order %d: %w", id, err)
	}
	s.mu.Lock()
	order, ok := s.orders[id] //bp:repo-find
	s.finds++
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("order %d: %w", id, ErrNotFound) //bp:repo-missing
	}
	return order, nil //bp:repo-found
}
