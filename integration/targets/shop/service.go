package main

import (
	"context"
	"fmt"
)

// service is the domain logic between the handlers and the store.
type service struct {
	store *store
}

func newService(s *store) *service { return &service{store: s} }

// Quote is an order with its price.
type Quote struct {
	Order    *Order `json:"order"`
	Total    int64  `json:"total_cents"`
	Discount int64  `json:"discount_cents"`
	Payment  string `json:"payment_text"`
}

// Load fetches an order.
//
//go:noinline
func (s *service) Load(ctx context.Context, id int) (*Order, error) {
	if id <= 0 {
		return nil, fmt.Errorf("load order %d: %w", id, ErrBadID)
	}
	order, err := s.store.Find(ctx, id) //bp:service-load
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return order, nil //bp:service-loaded
}

// Price adds up an order. Ten pieces or more of an item give 10 % off it.
//
//go:noinline
func (s *service) Price(order *Order) Quote {
	var total, discount int64
	for _, item := range order.Items {
		line := int64(item.Quantity) * item.Cents
		total += line //bp:service-price
		if item.Quantity >= 10 {
			discount += line / 10
		}
	}
	return Quote{Order: order, Total: total - discount, Discount: discount, Payment: order.Payment.Describe()} //bp:service-priced
}
