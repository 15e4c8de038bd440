"""The pages of the monitoring service: live page and runbooks."""
