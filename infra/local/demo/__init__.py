"""`make demo`: one segment to SendGrid and to Brevo, and a person by person comparison with what the runs claim."""
