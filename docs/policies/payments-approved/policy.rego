# An operator approves whoever is to make payments; all others are let in at once.
package openbanking_dcr

require_approval contains "it wants to make payments: is the contract signed?" if {
	"payments" in split(input.registration.scope, " ")
	not makes_payments
}

makes_payments if "payments" in split(input.client.metadata.scope, " ")
