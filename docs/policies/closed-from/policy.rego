# No new registrations from a date. What is registered goes on, and may be updated.
package openbanking_dcr

deny contains "registration: this server has closed for new software on 1 July 2026; ask the bank for the new one" if {
	input.operation == "create"
	time.parse_rfc3339_ns(input.now) >= time.parse_rfc3339_ns("2026-07-01T00:00:00Z")
}
